// Command sshchat runs the chat server.
package main

func main() {}

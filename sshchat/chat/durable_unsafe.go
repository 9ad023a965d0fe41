//go:build sshchat_showfirst

package chat

const showFirst = true

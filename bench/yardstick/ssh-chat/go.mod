module sshchat/bench/yardstick/ssh-chat

go 1.26.8

require (
	github.com/shazow/ssh-chat v1.10.1
	golang.org/x/crypto v0.58.0
	sshchat/bench v0.0.0
)

require (
	github.com/alexcesaro/log v0.0.0-20150915221235-61e686294e58 // indirect
	github.com/shazow/rateio v0.0.0-20200113175441-4461efc8bdc4 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace sshchat/bench => ../..

//go:build !sshchat_showfirst

package chat

// showFirst would show messages before they are durable. It is a constant, so that no setting can turn it on;
// the build tag sshchat_showfirst exists for one test, which must see such a server lose what was seen.
const showFirst = false

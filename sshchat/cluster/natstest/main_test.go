package natstest

import (
	"flag"
	"os"
	"testing"

	"sshchat/store/durable/testdisk"
)

// Most of these tests wait for elections, and use no processor meanwhile: more of them run at once than there are processors.
func TestMain(m *testing.M) {
	testdisk.InMemory()
	if err := flag.Set("test.parallel", "8"); err != nil { // a flag of the command comes after this
		panic(err)
	}
	os.Exit(m.Run())
}

package natstest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const childEnv = "SSHCHAT_TEST_NATS_CHILD"

// A server ends with the process of its test, even if that is killed.
func TestServersEndWithTheirTest(t *testing.T) {
	t.Parallel()
	if os.Getenv(childEnv) != "" {
		fmt.Printf("pid %d\n", StartOne(t).Pid(0))
		select {} // until it is killed
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestServersEndWithTheirTest$")
	cmd.Env = append(os.Environ(), childEnv+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if word, ok := cutPid(lines.Text()); ok {
			pid = word
		}
	}
	if pid == 0 {
		t.Fatalf("the test has started no server: %v", cmd.Wait())
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the server is not running: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for end := time.Now().Add(patience); syscall.Kill(pid, 0) == nil && !zombie(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server has outlived its test")
		}
	}
}

func cutPid(line string) (int, bool) {
	var pid int
	_, err := fmt.Sscanf(line, "pid %d", &pid)
	return pid, err == nil
}

// zombie is whether a process has ended, and nobody has asked how.
func zombie(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	var number int
	var name string
	var state rune
	_, err = fmt.Sscanf(string(text), "%d %s %c", &number, &name, &state)
	return err == nil && state == 'Z'
}

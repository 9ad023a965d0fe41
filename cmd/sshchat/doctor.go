package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"sshchat/sshchat/text"
	"sshchat/store/doctor"

	"github.com/spf13/cobra"
)

// errFailing sets the exit code if the doctor found a failure, which it has printed.
var errFailing = errors.New("there are failures; see above")

// doctorCommand looks at folder, machine and settings.
func doctorCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "doctor [--data FOLDER] [--config FILE] [--json]", Short: "check the data folder, the machine and the settings, and report what to do",
		Long: `Checks the settings, the data folder and the owner and mode of its files, the host key, accounts, history, clock and last backup,
and free space, limits and ports. Each line begins with ok, warn or fail, and ends with what to do.
It changes nothing. The server may be running. The exit status is 1 if anything fails.
It takes the server's flags, and reads the environment and the configuration file as the server does.`,
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
	}
	addFlags(cmd.Flags())
	hideFlags(cmd.Flags(), "data", "config", "listen")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found := examine(cmd.Context(), sourcesOf(cmd))
		failing := false
		out := json.NewEncoder(cmd.OutOrStdout())
		out.SetEscapeHTML(false)
		for _, f := range found {
			failing = failing || f.Level == doctor.Fail
			var err error
			if asJSON {
				err = out.Encode(f)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if err != nil {
				return err
			}
		}
		if failing {
			return errFailing
		}
		return nil
	}
	return cmd
}

// examine looks at the settings first. If they are wrong, the rest is looked at with what was set before the mistake.
func examine(ctx context.Context, from sources) (found []doctor.Finding) {
	s, err := from.load()
	if err != nil {
		found = append(found, doctor.Finding{Level: doctor.Fail, What: "settings: " + err.Error(), Do: "correct it; sshchat config check reports the next mistake"})
		s = newSettings()
		if data := from.flags.Lookup("data"); data != nil && data.Changed {
			if g, ok := data.Value.(*given); ok {
				s.data = g.words[len(g.words)-1]
			}
		}
		s.listen = nil // it is not known
	} else {
		found = append(found, doctor.Finding{Level: doctor.OK, What: "settings are valid"})
		if err := s.checkClusterFiles(); err != nil {
			found = append(found, doctor.Finding{Level: doctor.Fail, What: err.Error()})
		}
	}
	s.warn(func(msg string, args ...any) {
		for i := 0; i+1 < len(args); i += 2 {
			msg += fmt.Sprintf("; %v: %v", args[i], args[i+1])
		}
		found = append(found, doctor.Finding{Level: doctor.Warn, What: msg})
	})
	return append(found, doctor.Examine(doctor.Config{
		Data: s.data, File: s.config, HostKey: s.hostKey, Listen: s.listen, Cluster: len(s.cluster.servers) > 0, Connections: s.limits.Starting, Now: time.Now,
		Ping: func(address string) (string, error) { return ping(ctx, address) },
	})...)
}

// pingTime is how long a server may take to answer.
const pingTime = 5 * time.Second

// pingCommand asks a server on this machine whether it answers: the health check of a container that has no other program.
func pingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ping [ADDRESS]", Short: "check that a server answers, for health checks",
		Long: "Without an address it is the first of listen, of the environment, the configuration file and the flags of the server.\n" +
			"It exits with 0 if an SSH server answers within 5 seconds, and with 1 if not.",
		Args: atMost(1), SilenceUsage: true, SilenceErrors: true,
	}
	addFlags(cmd.PersistentFlags())
	hideFlags(cmd.PersistentFlags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var address string
		if len(args) > 0 {
			address = args[0]
		} else {
			s, err := sourcesOf(cmd).load()
			if err != nil {
				return err
			}
			address = s.listen[0]
		}
		said, err := ping(cmd.Context(), address)
		if err != nil {
			return fmt.Errorf("ping %s: %w", text.Clean(address, 200), err)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
		return err
	}
	return cmd
}

// ping returns the line by which an SSH server introduces itself (RFC 4253, 4.2). It says nothing to the server.
func ping(ctx context.Context, address string) (string, error) {
	network, at := reachable(address)
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, at)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetReadDeadline(end); err != nil {
			return "", err
		}
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 256)).ReadString('\n')
	said := text.Clean(strings.TrimRight(line, "\r\n"), 256)
	switch {
	case strings.HasPrefix(said, "SSH-"):
		return said, nil
	case said != "":
		return "", fmt.Errorf("it is not an SSH server, or refuses this connection: %s", said)
	case err == io.EOF:
		return "", fmt.Errorf("it closed the connection without an answer")
	case err != nil:
		return "", err
	}
	return "", fmt.Errorf("it sent an empty line, so it is not an SSH server")
}

// reachable is where to connect for an address to listen on: every address of the machine includes the local one.
func reachable(address string) (network, at string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return "tcp", net.JoinHostPort("localhost", port)
	}
	return "tcp", address
}

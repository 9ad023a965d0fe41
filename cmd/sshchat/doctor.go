package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sshchat/store/doctor"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// errFailing makes the exit code of a doctor who found something that fails. What it was is printed.
var errFailing = errors.New("something fails; see above")

// doctorCommand looks at folder, machine and settings.
func doctorCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "doctor [--data FOLDER] [--config FILE] [--json]", Short: "look for what is wrong with the server's folder, machine and settings, and say what to do",
		Long: `Looks at the settings, at the data folder and the owner and mode of its files, at host key, accounts, history, clock and the last
backup, at free space, limits and ports. Each line begins with ok, warn or fail, and ends with what to do.
It changes nothing. The server may be running. The exit status is 1 if anything fails.
It takes the server's flags, and reads the environment and the configuration file as the server does.`,
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
	}
	addFlags(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = f.Name != "data" && f.Name != "config" && f.Name != "listen" })
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found := examine(sourcesOf(cmd))
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
func examine(from sources) (found []doctor.Finding) {
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
	}
	s.warn(func(msg string, args ...any) {
		for i := 0; i+1 < len(args); i += 2 {
			msg += fmt.Sprintf("; %v: %v", args[i], args[i+1])
		}
		found = append(found, doctor.Finding{Level: doctor.Warn, What: msg})
	})
	return append(found, doctor.Examine(doctor.Config{
		Data: s.data, File: s.config, HostKey: s.hostKey, Listen: s.listen, Connections: s.limits.Starting, Now: time.Now,
	})...)
}

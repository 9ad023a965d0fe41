package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"sshchat/store/agesplit"

	"github.com/spf13/cobra"
)

// build is what a program knows about itself. All of it is from the compiler: no flag of the linker sets it.
type build struct {
	Version  string `json:"version"`  // a release, such as v1.2.0, or a pseudo-version made of its commit
	Revision string `json:"revision"` // the commit; empty if it was built without git
	Time     string `json:"time"`     // of the commit, as in RFC 3339
	Modified bool   `json:"modified"` // files differed from that commit
	Go       string `json:"go"`       // the version of the compiler
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Erases   bool   `json:"erases"` // keys and passwords are erased from memory after use
}

func thisBuild() build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(info)
}

// buildOf reads the build's information; nil if there is none.
func buildOf(info *debug.BuildInfo) build {
	b := build{Version: "unknown", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Erases: agesplit.Erases}
	if info == nil {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	switch v := info.Main.Version; {
	case v != "" && v != "(devel)":
		b.Version = v
	case len(b.Revision) >= 12:
		b.Version = "devel-" + b.Revision[:12]
	default:
		b.Version = "devel"
	}
	return b
}

// version is a release's tag, or made of the commit.
func version() string { return thisBuild().Version }

// memory says what this build does with keys and passwords that it is done with.
func memory() string {
	if agesplit.Erases {
		return "keys and passwords are erased from memory after use"
	}
	return "keys and passwords stay in memory until that memory is reused; a build with GOEXPERIMENT=runtimesecret erases them (Linux, amd64 or arm64)"
}

func versionCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{Use: "version [--json]", Short: "print the version", Args: atMost(0), SilenceUsage: true, SilenceErrors: true}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(thisBuild())
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", version(), memory())
		return err
	}
	return cmd
}

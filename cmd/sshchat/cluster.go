package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/journal"
	"sshchat/store/owner"
	"sshchat/store/restore"

	"github.com/spf13/cobra"
)

// clusterCommand makes several servers one chat.
func clusterCommand() *cobra.Command {
	cmd := commandWith("cluster init, cluster status, cluster leave, cluster rebuild or cluster node", &cobra.Command{
		Use: "cluster init|status|leave|rebuild|node", Short: "make several servers one chat, or show how they are",
		Long: `A cluster is several servers, its nodes, that are one chat. They are connected by NATS servers (the setting cluster).
These commands work on the data folder of a node on this machine, whose server must be stopped, but for status. While servers run, an
admin uses node list, node add and node remove over SSH. They take the server's flags, and read the environment and the
configuration file as the server does.`,
	})
	addFlags(cmd.PersistentFlags())
	hideFlags(cmd.PersistentFlags(), "data", "config", "cluster", "cluster-nkey", "cluster-monitor", "node")
	cmd.AddCommand(clusterInitCommand(), clusterStatusCommand(), clusterLeaveCommand(), clusterRebuildCommand(), clusterNodeCommand())
	return cmd
}

// clusterSettingsOf loads the settings of a command about a cluster.
func clusterSettingsOf(cmd *cobra.Command) (*settings, error) {
	s, err := sourcesOf(cmd).load()
	if err == nil {
		err = s.checkClusterFiles()
	}
	if err == nil && len(s.cluster.servers) == 0 {
		err = s.bad("cluster", "it is empty; name the NATS servers, such as --cluster nats://192.0.2.1:4222,nats://192.0.2.2:4222,nats://192.0.2.3:4222")
	}
	return s, err
}

func clusterInitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "init [--replicas N]", Short: "make a cluster of the chat in the data folder, which becomes its first node",
		Long: `The chat in the data folder, with its accounts and history, becomes that of a cluster, and this server its first node. Its log is a stream
on the NATS servers, which is created. Start the server afterwards, with the setting cluster.`,
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
	}
	replicas := replicasFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkReplicas(*replicas); err != nil {
			return err
		}
		s, err := clusterSettingsOf(cmd)
		if err != nil {
			return err
		}
		return initCluster(cmd.Context(), s, *replicas, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func replicasFlag(cmd *cobra.Command) *int {
	return cmd.Flags().Int("replicas", 3, "on how many NATS servers the log is stored: 3 or 5; 1 to try it out")
}

func checkReplicas(n int) error {
	if n < 1 || n > 5 || n%2 == 0 {
		return &badSetting{fmt.Sprintf("--replicas: %v", is(n, "1, 3 or 5"))}
	}
	return nil
}

func initCluster(ctx context.Context, s *settings, replicas int, stdout, stderr io.Writer) error {
	if store.InCluster(s.data) {
		return fmt.Errorf("data folder %s belongs to a cluster already; start the server", s.data)
	}
	alone := *s
	alone.cluster.servers = nil
	o, err := holdOffline(&alone, stderr, "Start it again afterwards, with the same settings")
	if err != nil {
		return err
	}
	defer o.release()
	s.data, s.cluster.nkey, s.cluster.ca = alone.data, alone.cluster.nkey, alone.cluster.ca
	if err := s.checkClusterFiles(); err != nil { // again, as the owner of the folder
		return err
	}
	check, err := s.cluster.serverCheck(replicas, o.log)
	if err != nil {
		return err
	}
	if err := check(ctx); err != nil {
		return err
	}
	key, err := cluster.NodeKey(s.data)
	if err != nil {
		return err
	}
	me := chat.Node{Name: s.cluster.name(), Key: key}
	if err := o.decide(ctx, func(_ *stores, hub *chat.Hub) error { return onlyNode(ctx, hub, me) }); err != nil {
		return err
	}
	if err := cluster.Init(ctx, s.nodeConfig(&stores{}, o.log), replicas); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	fmt.Fprintf(stdout, "This is node %s, the first of the cluster. Start the server with the same settings.\n", me.Name)
	fmt.Fprintln(stdout, "To add a node, make its data folder of a backup of this one (backup --with-host-keys), and list its key: node add NAME KEY")
	return nil
}

// onlyNode makes a node the only one. Others are those of a cluster that this chat has left.
func onlyNode(ctx context.Context, hub *chat.Hub, me chat.Node) error {
	for _, other := range hub.View().Nodes() {
		if err := hub.Decide(ctx, chat.TheServer, chat.RemoveNode{Name: other.Name}, nil); err != nil {
			return err
		}
	}
	if before := hub.View().HostKeys(); before != (chat.HostKeys{}) { // which may have been rotated since
		if err := hub.Decide(ctx, chat.TheServer, chat.SetHostKeys{From: before}, nil); err != nil {
			return err
		}
	}
	entry := chat.AuditEntry{Do: "cluster init", On: me.Name, Text: me.Key, Result: "done"}
	return hub.Decide(ctx, chat.TheServer, chat.AddNode{Node: me}, &entry)
}

func clusterLeaveCommand() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "leave [--force]", Short: "end the cluster: the chat goes on in this data folder, as that of one server",
		Long: `All nodes must be stopped. The folder takes what it lacks of the log, which then says that it is over: the other nodes do not start any more.
With --force the NATS servers are not asked, for when they are gone for good: what other nodes have and this one lacks is lost, and
nothing keeps those from going on.`,
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
	}
	cmd.Flags().BoolVar(&force, "force", false, "leave without asking the NATS servers")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		load := clusterSettingsOf
		if force {
			load = func(cmd *cobra.Command) (*settings, error) { return sourcesOf(cmd).load() }
		}
		s, err := load(cmd)
		if err != nil {
			return err
		}
		return leaveCluster(cmd.Context(), s, force, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func leaveCluster(ctx context.Context, s *settings, force bool, stdout, stderr io.Writer) error {
	if !store.InCluster(s.data) {
		return fmt.Errorf("data folder %s does not belong to a cluster", s.data)
	}
	if force {
		s.cluster.servers = []string{"none"} // which is not asked
	}
	o, err := holdOffline(s, stderr, "All nodes must be stopped")
	if err != nil {
		return err
	}
	defer o.release()
	if force {
		err = cluster.Forget(s.data)
	} else {
		err = o.leave(ctx)
	}
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	fmt.Fprintln(stdout, "The chat is that of one server now. Start it without the setting cluster. The data folders of the other nodes are only of use as a backup.")
	return nil
}

// leave takes what the folder lacks, and ends the log.
func (o *offline) leave(ctx context.Context) error {
	if err := o.adopt(ctx); err != nil {
		return err
	}
	return o.withJournal(func(st *stores) error { return cluster.Leave(ctx, o.nodeConfig(st, o.log)) })
}

// withJournal does something while the folder is open and no hub runs.
func (o *offline) withJournal(do func(*stores) error) error {
	st, err := openStores(o.settings, o.log)
	if err != nil {
		return err
	}
	defer st.close(o.log)
	if st.journal, err = journal.New(st.users, st.history, st.audit, o.log); err != nil {
		return err
	}
	return do(st)
}

func clusterRebuildCommand() *cobra.Command {
	var how cluster.Rebuilding
	cmd := &cobra.Command{
		Use: "rebuild [--force] [--new-key] [--replicas N]", Short: "make the cluster's log anew from the data folder, when it is broken or lost",
		Long: `All nodes must be stopped. Checks the data folder as verify does, takes what the old log still gives, and refuses if another node is
known to have more: its folder is the one to use. Then the administrator of the NATS servers deletes the stream, and this command, run
again, makes it anew from this folder. A message of the old log that no node can take is left behind. Other nodes follow by
themselves when they are started, if their folders have the same as this one, or less. docs/cluster.md has all steps.`,
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
	}
	replicas := replicasFlag(cmd)
	cmd.Flags().BoolVar(&how.NewKey, "new-key", false, "make a new cluster.key, which is then to be copied to all other nodes: the former one opens nothing of the new log")
	cmd.Flags().BoolVar(&how.Force, "force", false, "also if the log is in order, or another node has more, which is lost then")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkReplicas(*replicas); err != nil {
			return err
		}
		s, err := clusterSettingsOf(cmd)
		if err != nil {
			return err
		}
		if !store.InCluster(s.data) {
			return fmt.Errorf("data folder %s does not belong to a cluster", s.data)
		}
		o, err := holdOffline(s, cmd.ErrOrStderr(), "All nodes must be stopped")
		if err != nil {
			return err
		}
		defer o.release()
		how.Replicas = *replicas
		if err := o.rebuild(cmd.Context(), how); err != nil {
			return err
		}
		if how.NewKey {
			fmt.Fprintf(cmd.OutOrStdout(), "Copy the new %s to the data folders of all other nodes before you start them.\n", filepath.Join(o.data, store.ClusterKeyFile))
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "The log was made anew from this folder. Start this node, and then the others, which follow it.")
		return err
	}
	return cmd
}

// rebuild makes the log anew from the folder.
func (o *offline) rebuild(ctx context.Context, how cluster.Rebuilding) error {
	if err := o.checkClusterFiles(); err != nil { // again, as the owner of the folder
		return err
	}
	check, err := o.cluster.serverCheck(how.Replicas, o.log)
	if err != nil {
		return err
	}
	if err := check(ctx); err != nil {
		return err
	}
	broken := (*cluster.BrokenError)(nil)
	if err := o.adopt(ctx); err != nil && !errors.As(err, &broken) && !how.Force {
		return err
	}
	if err := verify(o.data, nil, false, io.Discard, io.Discard); err != nil {
		return fmt.Errorf("the data folder is damaged: %w. Use that of another node", err)
	}
	err = o.withJournal(func(st *stores) error {
		if _, err := st.audit.Verify(); err != nil {
			return fmt.Errorf("the audit log is damaged: %w. Use the data folder of another node", err)
		}
		how.Copy = func(ctx context.Context, w io.Writer) error {
			return store.Backup(ctx, w, restore.Current(st.history.Snapshots, st.users.Snapshots, st.audit.Snapshots, store.One(st.state.Snapshot))...)
		}
		return cluster.Rebuild(ctx, o.nodeConfig(st, o.log), how)
	})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

func clusterNodeCommand() *cobra.Command {
	cmd := commandWith("cluster node key, cluster node add NAME KEY or cluster node remove NAME", &cobra.Command{
		Use: "node key|add|remove", Short: "show this node's key; add or remove a node while this one is stopped",
	})
	cmd.AddCommand(clusterNodeKeyCommand(),
		changeNodesCommand("add NAME KEY", "add a node by its key; the server on this folder must be stopped", func(args []string) chat.Intent {
			return chat.AddNode{Node: chat.Node{Name: args[0], Key: args[1]}}
		}),
		changeNodesCommand("remove NAME", "remove a node, which others refuse from then on; the server on this folder must be stopped", func(args []string) chat.Intent {
			return chat.RemoveNode{Name: args[0]}
		}))
	return cmd
}

func clusterNodeKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "print the name and the key of this node, as node add takes them; a missing key is created",
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := sourcesOf(cmd).load()
			if err != nil {
				return err
			}
			if !store.InCluster(s.data) {
				return fmt.Errorf("data folder %s does not belong to a cluster; make it of a backup of a node", s.data)
			}
			if s.data, err = owner.Become(s.data); err != nil {
				return err
			}
			key, err := cluster.NodeKey(s.data)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), s.cluster.name(), key)
			}
			return err
		},
	}
}

// changeNodesCommand adds or removes a node: with the node on this folder as the one that decides it.
func changeNodesCommand(use, short string, in func(args []string) chat.Intent) *cobra.Command {
	words := strings.Fields(use)
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != len(words)-1 {
				return &badSetting{"usage: sshchat cluster node " + use}
			}
			if !chat.IsNodeName(args[0]) {
				return chat.ErrNodeName
			}
			if add, is := in(args).(chat.AddNode); is {
				return add.Node.Check()
			}
			return nil
		},
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := clusterSettingsOf(cmd)
		if err != nil {
			return err
		}
		line := "node " + words[0] + " " + strings.Join(args, " ")
		if !store.InCluster(s.data) {
			return fmt.Errorf("data folder %s does not belong to a cluster", s.data)
		}
		if words[0] == "remove" && args[0] == s.cluster.name() {
			return fmt.Errorf("%s is the node of this folder: remove it on another node, or leave the cluster with it: sshchat cluster leave", args[0])
		}
		o, err := holdOffline(s, cmd.ErrOrStderr(), "While it runs, an admin can use: "+line)
		if err != nil {
			return err
		}
		defer o.release()
		entry := chat.AuditEntry{Do: "node " + words[0], On: args[0], Text: strings.Join(args[1:], " "), Result: "done"}
		if err := o.decide(cmd.Context(), func(_ *stores, hub *chat.Hub) error {
			return hub.Decide(cmd.Context(), chat.TheServer, in(args), &entry)
		}); err != nil {
			return err
		}
		did := map[string]string{"add": "Added", "remove": "Removed"}[words[0]]
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s node %s.\n", did, args[0])
		return err
	}
	return cmd
}

func clusterStatusCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "status [--json]", Short: "show how far the data folder, the log and the nodes are; the server may be running",
		Long: `Reads the data folder, asks the NATS servers about the log, and listens for two seconds which nodes are there. It changes nothing, and
works while nothing can be posted. The exit status is 1 if the NATS servers do not answer.`,
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := clusterSettingsOf(cmd)
		if err != nil {
			return err
		}
		if !store.InCluster(s.data) {
			return fmt.Errorf("data folder %s does not belong to a cluster", s.data)
		}
		look, err := cluster.Look(cmd.Context(), s.nodeConfig(&stores{}, slog.New(slog.DiscardHandler)))
		if err != nil && look.Position.Seq == 0 {
			return err
		}
		if asJSON {
			if failed := json.NewEncoder(cmd.OutOrStdout()).Encode(look); failed != nil {
				return failed
			}
		} else {
			printLook(cmd.OutOrStdout(), s.data, &look)
		}
		return err
	}
	return cmd
}

// printLook prints how a cluster is, as text.
func printLook(w io.Writer, data string, l *cluster.Sight) {
	fmt.Fprintf(w, "node %s: data folder %s has the log up to message %d, with record %d and change %d\n", l.Node, data, l.Position.Seq, l.Position.Record, l.Position.Change)
	if l.Last > 0 {
		fmt.Fprintf(w, "log: messages %d to %d\n", l.First, l.Last)
	}
	for _, server := range l.Servers {
		is := "follows"
		switch {
		case server.Leads:
			is = "leads"
		case server.Offline:
			is = "does not answer"
		case !server.Current:
			is = "is behind"
		}
		fmt.Fprintf(w, "  NATS server %s %s\n", text.Clean(server.Name, 64), is)
	}
	for _, n := range l.Nodes {
		is := "follows"
		switch {
		case !n.Alive:
			is = "was not heard"
		case n.Leads:
			is = "leads"
		}
		fmt.Fprintf(w, "  node %s %s", n.Name, is)
		if n.Alive {
			fmt.Fprintf(w, ", at message %d, version %s", n.Seq, text.Clean(n.Version, 40))
		}
		fmt.Fprintln(w)
	}
}

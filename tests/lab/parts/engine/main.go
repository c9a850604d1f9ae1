// The lab's engine: K3s' own server and agent in RKE2's clothes, with real etcd, containerd, shims and kubelet. RKE2 is these two commands
// with another executor (rancher/rke2 pkg/rke2); what it adds to them is not here: static pods, charts, its validation of options.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	ctr "github.com/containerd/containerd/v2/cmd/ctr/app"
	"github.com/k3s-io/k3s/pkg/cli/agent"
	"github.com/k3s-io/k3s/pkg/cli/cmds"
	"github.com/k3s-io/k3s/pkg/cli/server"
	"github.com/k3s-io/k3s/pkg/configfilearg"
	"github.com/k3s-io/k3s/pkg/daemons/executor"
	"github.com/k3s-io/k3s/pkg/datadir"
	"github.com/k3s-io/k3s/pkg/kubectl"
	"github.com/k3s-io/k3s/pkg/version"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/util/net"
	kubecli "k8s.io/component-base/cli"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// The programs of RKE2's runtime image, which it unpacks into its data directory: here one file under several names, beside runc and its shim.
var tools = map[string]func(){
	"containerd": runContainerd,
	"ctr":        runCtr,
	"kubectl":    kubectl.Main,
	"kubelet":    func() { os.Exit(kubecli.Run(kubelet.NewKubeletCommand(context.Background()))) },
}

func main() {
	if tool, ok := tools[filepath.Base(os.Args[0])]; ok {
		tool()
		return
	}
	app := cmds.NewApp()
	app.Name = version.Program
	app.DisableSliceFlagSeparator = true
	app.Commands = []*cli.Command{cmds.NewServerCommand(runServer), cmds.NewAgentCommand(runAgent)}
	argv, err := parse(os.Args, app.Commands)
	if err == nil {
		err = app.Run(argv)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		logrus.Fatalf("Error: %v", err)
	}
}

// parse reads the configuration as RKE2 does: options that its command, or K3s', does not know are left out with a warning.
func parse(args []string, commands []*cli.Command) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	// As the start of the stand-in: what RKE2 was started with is left in /run/lab/starts.
	if args[1] == "server" || args[1] == "agent" {
		record := exec.Command("/usr/bin/lab-record", "record", args[1])
		record.Stdout, record.Stderr = os.Stdout, os.Stderr
		if err := record.Run(); err != nil {
			return nil, fmt.Errorf("lab-record: %w", err)
		}
	}
	known, err := ofRKE2("/usr/share/lab/rke2-flags.json")
	if err != nil {
		return nil, err
	}
	valid := map[string][]cli.Flag{}
	for _, command := range commands {
		for _, flag := range command.Flags {
			if known[flag.Names()[0]] {
				valid[command.Name] = append(valid[command.Name], flag)
			}
		}
	}
	parser := configfilearg.Parser{
		After:         []string{"server", "agent"},
		ConfigFlags:   []string{"--config", "-c"},
		EnvName:       version.ProgramUpper + "_CONFIG_FILE",
		DefaultConfig: "/etc/rancher/" + version.Program + "/config.yaml",
		ValidFlags:    valid,
	}
	return parser.Parse(args)
}

// prepend puts RKE2's own arguments of a component before the user's.
func prepend(list *cli.StringSlice, own ...string) {
	*list = *cli.NewStringSlice(append(own, list.Value()...)...)
}

// common is what both roles have of RKE2's defaults (rancher/rke2 pkg/cli/defaults).
func common(context *cli.Context) error {
	executor.Set(&clothes{Executor: &executor.Embedded{}})
	directory, err := datadir.Resolve(context.String("data-dir"))
	if err != nil {
		return err
	}
	return os.Setenv("PATH", filepath.Join(directory, "bin")+":"+os.Getenv("PATH"))
}

// anyAddress is that of the family that the node has first: the API server takes its own address from it where nobody gives one.
func anyAddress() string {
	if address, err := net.ChooseHostInterface(); err == nil && address.To4() == nil {
		return "::"
	}
	return "0.0.0.0"
}

func runServer(context *cli.Context) error {
	if err := common(context); err != nil {
		return err
	}
	config := &cmds.ServerConfig
	// RKE2's two ports; on agents the supervisor tells.
	config.SupervisorPort, config.HTTPSPort, config.APIServerPort, config.AdvertisePort = 9345, 6443, 6443, 6443
	config.APIServerBindAddress = anyAddress()
	config.ClusterInit = true
	config.FlannelBackend = "none"
	config.DisableNPC = true
	config.DisableHelmController = true
	config.EncryptSecrets = true
	config.EgressSelectorMode = "agent"
	prepend(&config.ExtraAPIArgs, "enable-admission-plugins=NodeRestriction")
	return server.Run(context)
}

func runAgent(context *cli.Context) error {
	if err := common(context); err != nil {
		return err
	}
	return agent.Run(context)
}

func runCtr() {
	if err := ctr.New().Run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "ctr: %s\n", err)
		os.Exit(1)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/k3s-io/k3s/pkg/cli/cmds"
	"github.com/k3s-io/k3s/pkg/daemons/config"
	"github.com/k3s-io/k3s/pkg/daemons/executor"
	"github.com/k3s-io/k3s/pkg/version"
	"github.com/sirupsen/logrus"
)

// clothes is K3s' own executor, with programs in the data directory, a kubelet that is a process, and pods' networks where RKE2 has them.
type clothes struct {
	executor.Executor
	dataDir string
}

const (
	cniFrom   = "/usr/lib/lab/cni"
	cniBin    = "/opt/cni/bin"
	cniConfig = "/etc/cni/net.d/10-lab.conflist"
	runtime   = "/usr/lib/lab/runtime"
)

// ofRKE2 reads the names of RKE2's options.
func ofRKE2(table string) (map[string]bool, error) {
	text, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	var options []struct {
		Name string `json:"name"`
	}
	known := map[string]bool{}
	err = json.Unmarshal(text, &options)
	for _, option := range options {
		known[option.Name] = true
	}
	return known, err
}

// Bootstrap unpacks the programs, as RKE2 does from its runtime image, and the network of pods, as the CNI's chart does.
func (c *clothes) Bootstrap(ctx context.Context, node *config.Node, agent cmds.Agent) error {
	c.dataDir = agent.DataDir
	if err := unpack(c.dataDir); err != nil {
		return err
	}
	if err := network(node.AgentConfig.ClusterCIDRs); err != nil {
		return err
	}
	return c.Executor.Bootstrap(ctx, node, agent)
}

// unpack leaves DATA/data/VERSION/bin, and DATA/bin as a link to it.
func unpack(dataDir string) error {
	release := filepath.Join(dataDir, "data", strings.ReplaceAll(version.Version, "+", "-")+"-0123456789ab")
	bin := filepath.Join(release, "bin")
	link := filepath.Join(dataDir, "bin")
	if _, err := os.Stat(bin); err != nil {
		temporary := release + ".tmp"
		if err := os.MkdirAll(temporary+"/bin", 0o755); err != nil {
			return err
		}
		self := filepath.Join(temporary, "bin", "containerd")
		if err := install("/proc/self/exe", self); err != nil {
			return err
		}
		for tool := range tools {
			if tool != "containerd" {
				if err := os.Link(self, filepath.Join(temporary, "bin", tool)); err != nil && !os.IsExist(err) {
					return err
				}
			}
		}
		if err := installAll(runtime, filepath.Join(temporary, "bin")); err != nil {
			return err
		}
		if err := os.Rename(temporary, release); err != nil {
			return err
		}
	}
	_ = os.Remove(link)
	return os.Symlink(bin, link)
}

func install(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	// A program that runs cannot be written to, but it can be replaced.
	_ = os.Remove(to)
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func installAll(from, to string) error {
	names, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		if err := install(filepath.Join(from, name.Name()), filepath.Join(to, name.Name())); err != nil {
			return err
		}
	}
	return nil
}

// network writes the configuration of a bridge for pods: the first network of 256 addresses of each cluster CIDR. Pods of several nodes do
// not reach each other, which no scenario asks for.
func network(cidrs []*net.IPNet) error {
	if err := installAll(cniFrom, cniBin); err != nil {
		return err
	}
	var ranges, routes []any
	for _, cidr := range cidrs {
		size, everywhere := 24, "0.0.0.0/0"
		if cidr.IP.To4() == nil {
			size, everywhere = 120, "::/0"
		}
		ranges = append(ranges, []any{map[string]string{"subnet": fmt.Sprintf("%s/%d", cidr.IP, size)}})
		routes = append(routes, map[string]string{"dst": everywhere})
	}
	text, err := json.Marshal(map[string]any{
		"cniVersion": "1.0.0",
		"name":       "lab",
		"plugins": []any{
			map[string]any{
				"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
				"ipam": map[string]any{"type": "host-local", "ranges": ranges, "routes": routes},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(cniConfig), 0o755); err != nil {
		return err
	}
	return os.WriteFile(cniConfig, text, 0o600)
}

// Kubelet runs it as a process of its own, again whenever it ends (rancher/rke2 pkg/podexecutor).
func (c *clothes) Kubelet(ctx context.Context, args []string) error {
	file := filepath.Join(c.dataDir, "agent", "logs", "kubelet.log")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			command := exec.CommandContext(ctx, filepath.Join(c.dataDir, "bin", "kubelet"), args...)
			command.Stdout, command.Stderr = log, log
			command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			logrus.Errorf("Kubelet exited: %v", command.Run())
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	}()
	return nil
}

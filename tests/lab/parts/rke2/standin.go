package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

const (
	configFile = "/etc/rancher/rke2/config.yaml"
	tableFile  = "/usr/share/lab/rke2-flags.json"
	behaviour  = "/etc/lab/rke2"
	startsDir  = "/run/lab/starts"
)

// watched is what RKE2 or its unit reads.
var watched = []string{
	configFile, configFile + ".d", "/etc/rancher/rke2/config.d", "/etc/rancher/rke2/registries.yaml", "/etc/default",
	"/etc/sysconfig", "/run/provider-rke2",
}

// uptime is CLOCK_MONOTONIC, the clock of systemd's timestamps.
func uptime() float64 {
	text, _ := os.ReadFile("/proc/uptime")
	var seconds float64
	_, _ = fmt.Sscanf(string(text), "%f", &seconds)
	return seconds
}

// behaviours reads `name=value` lines.
func behaviours() map[string]string {
	values := map[string]string{}
	file, err := os.Open(behaviour)
	if err != nil {
		return values
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return values
}

func seconds(text string, otherwise time.Duration) time.Duration {
	if value, err := time.ParseDuration(text + "s"); err == nil {
		return value
	}
	return otherwise
}

// describe is a line per file: mode, owner, hash, path.
func describe(paths []string) string {
	var text strings.Builder
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			info, err := os.Lstat(path)
			if err != nil {
				return nil
			}
			hash := "-"
			if info.Mode().IsRegular() {
				content, _ := os.ReadFile(path)
				hash = fmt.Sprintf("%x", sha256.Sum256(content))[:16]
			}
			owner := info.Sys().(*syscall.Stat_t)
			fmt.Fprintf(&text, "%04o %d:%d %s %s\n", info.Mode().Perm(), owner.Uid, owner.Gid, hash, path)
			return nil
		})
	}
	return text.String()
}

// fatal is what RKE2 itself says to a configuration that it does not start with.
func fatal(role string, settings []setting) string {
	text := func(name string) string {
		for _, s := range settings {
			if s.Name == name {
				return fmt.Sprint(s.Value)
			}
		}
		return ""
	}
	token := text("token") != "" || text("token-file") != ""
	switch {
	case role == "agent" && !token:
		return "--token is required"
	case role == "agent" && text("server") == "":
		return "--server is required"
	case role == "server" && text("server") != "" && !token:
		return "token is required to join a cluster"
	}
	return ""
}

var served net.Listener

// serve is what else tells that RKE2 is ready: the port of the API server, on an agent that of the kubelet.
func serve(role string) {
	port := "6443"
	if role == "agent" {
		port = "10250"
	}
	served, _ = net.Listen("tcp", ":"+port)
}

func notify(state string) {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return
	}
	if strings.HasPrefix(address, "@") {
		address = "\x00" + address[1:]
	}
	if socket, err := net.Dial("unixgram", address); err == nil {
		_, _ = socket.Write([]byte(state))
		socket.Close()
	}
}

// version is what this RKE2 is built as: the first line of /etc/lab/version, or nothing that a version can be read from.
func version() string {
	text, err := os.ReadFile("/etc/lab/version")
	if err != nil {
		return "dev"
	}
	return strings.TrimSpace(string(text))
}

// data leaves in the data directory what a server makes when it starts, and what its own agent and every other one has once it is ready.
func data(role string, settings []setting, ready bool) {
	directory := "/var/lib/rancher/rke2"
	for _, s := range settings {
		if s.Name == "data-dir" {
			directory = fmt.Sprint(s.Value)
		}
	}
	put := func(name string) {
		path := filepath.Join(directory, name)
		if _, err := os.Stat(path); err == nil || os.MkdirAll(filepath.Dir(path), 0o700) != nil {
			return
		}
		text := make([]byte, 16)
		_, _ = rand.Read(text)
		_ = os.WriteFile(path, []byte(fmt.Sprintf("%x\n", text)), 0o600)
	}
	put("data/" + strings.ReplaceAll(version(), "+", "-") + "-0123456789ab/bin/rke2")
	if role == "server" {
		put("server/tls/server-ca.crt")
		put("server/db/etcd/member/wal/0.wal")
	}
	if ready {
		put("agent/client-kubelet.crt")
	}
}

// start is one start of RKE2, as it is left in startsDir.
type start struct {
	record   string
	settings []setting
	// What RKE2 would say; empty if it starts.
	failure string
}

func (s *start) write(name, text string) {
	_ = os.WriteFile(filepath.Join(s.record, name), []byte(text), 0o600)
}

// recorded leaves what RKE2 is started with.
func recorded(role string) *start {
	started := uptime()
	unit := "rke2-" + role
	record := filepath.Join(startsDir, fmt.Sprintf("%012d-%s", int64(started*1000), unit))
	for number := 1; os.MkdirAll(filepath.Dir(record), 0o700) == nil && os.Mkdir(record, 0o700) != nil && number < 100; number++ {
		record = fmt.Sprintf("%s-%d", strings.SplitN(record, unit, 2)[0]+unit, number)
	}
	s := &start{record: record}

	s.write("pid", fmt.Sprintf("%d\n", os.Getpid()))
	s.write("when", fmt.Sprintf("%.3f\n", started))
	s.write("argv", strings.Join(os.Args, "\n")+"\n")
	environment := os.Environ()
	sort.Strings(environment)
	s.write("env", strings.Join(environment, "\n")+"\n")
	s.write("files", describe(watched))
	content, _ := os.ReadFile(configFile)
	s.write("config.yaml", string(content))
	_, gate := os.Stat("/run/systemd/system/" + unit + ".service.d/50-provider-rke2.conf")
	if _, err := os.Stat("/run/openrc"); err == nil {
		_, gate = os.Stat("/etc/init.d/" + unit)
	}
	_, ready := os.Stat("/run/provider-rke2/ready-" + unit)
	s.write("gate", fmt.Sprintf("gate=%t ready=%t\n", gate == nil, ready == nil))

	options, err := readOptions(tableFile)
	if err == nil {
		s.settings, err = read(options, role, configFile)
	}
	var text strings.Builder
	for _, one := range s.settings {
		fmt.Fprintf(&text, "%s %s\n", one.Name, toJSON(one.Value))
	}
	s.write("flags", text.String())
	s.failure = fatal(role, s.settings)
	if err != nil {
		s.failure = err.Error()
	}
	if s.failure != "" {
		s.write("fatal", s.failure+"\n")
	}
	return s
}

// standIn records what RKE2 would have started with, then behaves as /etc/lab/rke2 says:
// `ready=SECONDS` (default 0.1) or `ready=never`, `crash=SECONDS`, `sigterm=ignore`, `data=yes`.
func standIn(role string) int {
	how := behaviours()
	s := recorded(role)
	if s.failure != "" {
		fmt.Fprintf(os.Stderr, "stand-in rke2-%s: fatal\n", role)
		return 1
	}

	if how["data"] == "yes" {
		data(role, s.settings, false)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	var becomesReady, crashes <-chan time.Time
	if how["ready"] != "never" {
		becomesReady = time.After(seconds(how["ready"], 100*time.Millisecond))
	}
	if how["crash"] != "" {
		crashes = time.After(seconds(how["crash"], 0))
	}
	for {
		select {
		case <-becomesReady:
			becomesReady = nil
			if how["data"] == "yes" {
				data(role, s.settings, true)
			}
			serve(role)
			s.write("ready", fmt.Sprintf("%.3f\n", uptime()))
			notify("READY=1")
		case <-crashes:
			s.write("crashed", fmt.Sprintf("%.3f\n", uptime()))
			return 1
		case <-signals:
			s.write("sigterm", fmt.Sprintf("%.3f\n", uptime()))
			if how["sigterm"] != "ignore" {
				return 0
			}
		}
	}
}

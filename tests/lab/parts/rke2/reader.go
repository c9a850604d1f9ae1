package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/k3s-io/k3s/pkg/configfilearg"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
)

// option is a line of testdata/recorded/rke2-flags.json.
type option struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Server  bool     `json:"server"`
	Agent   bool     `json:"agent"`
	Default string   `json:"default"`
	Env     string   `json:"env"`
	Aliases []string `json:"aliases"`
}

// setting is a flag that a configuration file (or the environment) has set, as the command reads it.
type setting struct {
	Name  string
	Value any
}

// readOptions reads the table of options.
func readOptions(file string) ([]option, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var options []option
	return options, json.Unmarshal(text, &options)
}

// flags are the options of a role, typed as RKE2 declares them.
func flags(options []option, role string) ([]cli.Flag, error) {
	var list []cli.Flag
	for _, o := range options {
		if (role == "server" && !o.Server) || (role == "agent" && !o.Agent) {
			continue
		}
		var env []string
		if o.Env != "" {
			env = strings.Split(o.Env, ",")
		}
		switch o.Type {
		case "string":
			list = append(list, &cli.StringFlag{Name: o.Name, Aliases: o.Aliases, EnvVars: env, Value: o.Default})
		case "stringslice":
			var value *cli.StringSlice
			if o.Default != "" {
				value = cli.NewStringSlice(o.Default)
			}
			list = append(list, &cli.StringSliceFlag{Name: o.Name, Aliases: o.Aliases, EnvVars: env, Value: value})
		case "bool":
			value, _ := strconv.ParseBool(o.Default)
			list = append(list, &cli.BoolFlag{Name: o.Name, Aliases: o.Aliases, EnvVars: env, Value: value})
		case "int":
			value, _ := strconv.Atoi(o.Default)
			list = append(list, &cli.IntFlag{Name: o.Name, Aliases: o.Aliases, EnvVars: env, Value: value})
		case "duration":
			value, _ := time.ParseDuration(o.Default)
			list = append(list, &cli.DurationFlag{Name: o.Name, Aliases: o.Aliases, EnvVars: env, Value: value})
		default:
			return nil, fmt.Errorf("option %s: unknown type %q", o.Name, o.Type)
		}
	}
	return list, nil
}

// parse turns a configuration file (and its .d directory) into the argv that RKE2's command sees. With strip, options that the
// command does not know are dropped with a warning, as both commands of RKE2 do.
func parse(file, role string, list []cli.Flag, strip bool) ([]string, error) {
	parser := configfilearg.Parser{
		After:         []string{"server", "agent"},
		ConfigFlags:   []string{"--config", "-c"},
		EnvName:       "RKE2_CONFIG_FILE",
		DefaultConfig: file,
	}
	if strip {
		parser.ValidFlags = map[string][]cli.Flag{role: list}
	}
	return parser.Parse([]string{"rke2", role})
}

// command runs use with the context that RKE2's command would have for an argv.
func command(argv []string, role string, list []cli.Flag, use func(*cli.Context) error) error {
	app := cli.NewApp()
	app.Name = "rke2"
	app.Writer, app.ErrWriter = io.Discard, io.Discard
	app.DisableSliceFlagSeparator = true
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return err }
	app.Commands = []*cli.Command{{
		Name:         role,
		Flags:        list,
		Action:       use,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
	}}
	return app.Run(argv)
}

// read gives what the command of a role is set to by a configuration file.
func read(options []option, role, file string) ([]setting, error) {
	list, err := flags(options, role)
	if err != nil {
		return nil, err
	}
	argv, err := parse(file, role, list, true)
	if err != nil {
		return nil, err
	}
	var settings []setting
	err = command(argv, role, list, func(c *cli.Context) error {
		for _, flag := range list {
			name := flag.Names()[0]
			if !c.IsSet(name) {
				continue
			}
			var value any
			switch flag.(type) {
			case *cli.StringSliceFlag:
				value = c.StringSlice(name)
			case *cli.BoolFlag:
				value = c.Bool(name)
			case *cli.IntFlag:
				value = c.Int(name)
			case *cli.DurationFlag:
				value = c.Duration(name).String()
			default:
				value = c.String(name)
			}
			settings = append(settings, setting{name, value})
		}
		return nil
	})
	return settings, err
}

// toJSON is one line, with <, > and & as they are.
func toJSON(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func init() { logrus.SetOutput(os.Stderr) }

// The lab's rke2: a stand-in for RKE2 that reads its configuration with RKE2's own reader, and the oracle of the lab's tests.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "server" || os.Args[1] == "agent") {
		os.Exit(standIn(os.Args[1]))
	}
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("rke2 version " + version())
		return
	}
	if err := oracle(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func oracle(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "read":
		options, err := readOptions(args[1])
		if err != nil {
			return err
		}
		settings, err := read(options, args[2], args[3])
		for _, s := range settings {
			fmt.Printf("%s %s\n", s.Name, toJSON(s.Value))
		}
		return err
	case len(args) == 2 && args[0] == "record":
		recorded(args[1])
		return nil
	case len(args) == 3 && args[0] == "meant":
		return meantAll(args[1], args[2])
	case len(args) == 3 && args[0] == "answer":
		return standAt(args[1], args[2])
	case len(args) == 2 && args[0] == "table":
		return table(args[1])
	case len(args) == 4 && args[0] == "documents":
		return documents(args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "nasty-configs":
		single, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return nastyConfigs(args[1], args[2], single)
	}
	return errors.New("usage: rke2 server|agent|--version, or answer ADDRESS tls|close, record ROLE, read TABLE ROLE FILE, table FILE, meant TABLE DIR, " +
		"nasty-configs STRINGS DIR SINGLE, documents DOCUMENTS STAGED CASES")
}

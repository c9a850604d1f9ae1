// Validates what the program gives to other programs, with validators of another make: its JSON Schema against the metaschema, cloud-configs
// against that schema, and its SARIF against the schema of OASIS.
//
//	formats PROGRAM SARIF.go CASES...
//
// SARIF.go is the Go file that holds the schema of SARIF 2.1.0; CASES are directories with a cloud-config.yaml.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// Codes of findings that a schema must see too; of the other codes it may say nothing, as they need more than one value.
var seen = map[string]bool{
	"role-missing": true, "role-unknown": true, "unknown-key": true, "wrong-type": true, "option-unknown": true,
	"provider-option-unknown": true, "env-name": true, "env-reserved": true, "boolean-invalid": true,
	"option-boolean": true, "option-nested": true, "option-list": true, "option-duration": true,
}

func compiled(name string, text []byte) *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	must(err)
	compiler := jsonschema.NewCompiler()
	// A schema is validated against its metaschema when it is compiled.
	must(compiler.AddResource(name, document))
	schema, err := compiler.Compile(name)
	must(err)
	return schema
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "formats:", err)
		os.Exit(1)
	}
}

func main() {
	program, sarif, cases := os.Args[1], os.Args[2], os.Args[3:]
	source, err := os.ReadFile(sarif)
	must(err)
	_, text, _ := strings.Cut(string(source), "`")
	text, _, _ = strings.Cut(text, "`")
	sarifSchema := compiled("sarif.json", []byte(text))
	output, err := exec.Command(program, "schema").Output()
	must(err)
	schema := compiled("cloud-config.json", output)

	failed, valid, invalid := 0, 0, 0
	fail := func(format string, rest ...any) {
		failed++
		fmt.Printf(format+"\n", rest...)
	}
	root, err := os.MkdirTemp("", "formats")
	must(err)
	defer os.RemoveAll(root)
	check := func(format string, file string) []byte {
		output, _ := exec.Command(program, "--root", root, "check", "--format", format, file).Output()
		return output
	}
	for _, file := range []string{"/nowhere", "/", "/dev/null"} {
		log, err := jsonschema.UnmarshalJSON(bytes.NewReader(check("sarif", file)))
		must(err)
		if err := sarifSchema.Validate(log); err != nil {
			fail("%s: SARIF: %v", file, err)
		}
	}
	for _, directory := range cases {
		file := filepath.Join(directory, "cloud-config.yaml")
		log, err := jsonschema.UnmarshalJSON(bytes.NewReader(check("sarif", file)))
		must(err)
		if err := sarifSchema.Validate(log); err != nil {
			fail("%s: SARIF: %v", file, err)
		}
		var findings []struct{ Code, Severity, Path string }
		must(json.Unmarshal(check("json", file), &findings))
		text, err := os.ReadFile(file)
		must(err)
		var value any
		if yaml.Unmarshal(text, &value) != nil {
			continue
		}
		clean, must_see := true, ""
		for _, finding := range findings {
			if finding.Severity != "note" {
				clean = false
			}
			// The text form of config is not looked into, nor are files that are written beside the section.
			whole, _ := value.(map[string]any)
			section, _ := whole["cluster"].(map[string]any)
			_, is_text := section["config"].(string)
			inside := !strings.HasPrefix(finding.Path, "cluster") || strings.HasPrefix(finding.Path, "cluster.config") && is_text
			if seen[finding.Code] && !inside && finding.Path != "cluster.token" {
				must_see = finding.Code
			}
		}
		plain, err := json.Marshal(value)
		if err != nil {
			continue
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(plain))
		must(err)
		err = schema.Validate(document)
		if err == nil {
			valid++
		} else {
			invalid++
		}
		if clean && err != nil {
			fail("%s: is clean, and the schema says %v", file, err)
		}
		if must_see != "" && err == nil {
			fail("%s: has %s, and the schema says nothing", file, must_see)
		}
	}
	fmt.Printf("formats: %d cloud-configs valid, %d invalid, %d mistakes\n", valid, invalid, failed)
	if failed > 0 || valid == 0 || invalid == 0 {
		os.Exit(1)
	}
}

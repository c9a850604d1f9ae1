package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v2"
)

// table compares the reader with recorded answers of it (tests/lab/reader.table): rows `name: yaml`, one option of each type.
func table(file string) error {
	options := []option{
		{Name: "mode", Type: "string"}, {Name: "str", Type: "string"}, {Name: "bool", Type: "bool"}, {Name: "int", Type: "int"},
		{Name: "dur", Type: "duration"}, {Name: "list", Type: "stringslice"}, {Name: "deflist", Type: "stringslice", Default: "canal"},
	}
	for i := range options {
		options[i].Server = true
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "lab")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	rows, wrong := 0, 0
	for _, line := range strings.Split(string(text), "\n") {
		// The label is padded to 35 columns, and columns are characters.
		if len(line) < 36 || line[0] == ' ' || line[0] == '#' {
			continue
		}
		label, recorded := strings.TrimRight(line[:35], " "), line[35:]
		name, _, ok := strings.Cut(label, ":")
		if !ok || !known(options, name) {
			continue
		}
		rows++
		config := filepath.Join(directory, fmt.Sprintf("%d.yaml", rows))
		if err := os.WriteFile(config, []byte(label+"\n"), 0o600); err != nil {
			return err
		}
		if answer := answer(options, name, config); !strings.HasPrefix(answer, recorded) {
			wrong++
			fmt.Printf("%s\n  recorded %s\n  now      %s\n", label, recorded, answer)
		}
	}
	if rows < 80 {
		return fmt.Errorf("%s has %d usable rows, 80 are expected", file, rows)
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d rows differ", wrong, rows)
	}
	fmt.Printf("reader: %d recorded answers, all the same\n", rows)
	return nil
}

func known(options []option, name string) bool {
	for _, o := range options {
		if o.Name == name {
			return true
		}
	}
	return false
}

// answer is what the recorded table holds for a file.
func answer(options []option, name, config string) string {
	list, err := flags(options, "server")
	if err != nil {
		return err.Error()
	}
	argv, err := parse(config, "server", list, false)
	if err != nil {
		return "YAML ERROR: " + err.Error()
	}
	text := fmt.Sprintf("%q  =>  ", argv[2:])
	err = command(argv, "server", list, func(c *cli.Context) error {
		if name == "mode" {
			mode, err := strconv.ParseInt(c.String("mode"), 8, 0)
			if err != nil {
				mode = 0
			}
			text += fmt.Sprintf("mode %q -> %04o err=%v", c.String("mode"), mode, err)
			return nil
		}
		text += fmt.Sprintf("str=%q(set=%t) bool=%t int=%d dur=%s list=%q deflist=%q(set=%t)", c.String("str"), c.IsSet("str"),
			c.Bool("bool"), c.Int("int"), c.Duration("dur"), c.StringSlice("list"), c.StringSlice("deflist"), c.IsSet("deflist"))
		return nil
	})
	if err != nil {
		text += "CLI ERROR: " + err.Error()
	}
	return text
}

// document is as much of a yip document as is compared.
type document struct {
	Stages map[string][]struct {
		Files []struct {
			Path        string
			Permissions uint32
			Content     string
		}
		Commands []string
	}
}

// staged compares the files that yip has made of a document below /t, kept in a directory, with the document. Written independently of the
// program: what yip's template engine does to the one escape that the document uses is undone by hand. What it makes of a text with a template is
// only looked at for its last line: it is that of the document, or all of the file is.
func staged(file, root string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var doc document
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	plan, values, count := "", "", 0
	for _, stage := range doc.Stages["boot.before"] {
		for _, staged := range stage.Files {
			count++
			path := filepath.Join(root, strings.TrimPrefix(staged.Path, "/t/"))
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if info.Mode().Perm() != 0o600 || staged.Permissions != 0o600 {
				return fmt.Errorf("%s: mode %04o", staged.Path, info.Mode().Perm())
			}
			if strings.Contains(staged.Path, "/run/provider-rke2/values/") {
				last := staged.Content[strings.LastIndex(staged.Content, "# values "):]
				if len(last) != len("# values 0123456789abcdef") || (values != "" && values != last) {
					return fmt.Errorf("%s: %q is not the last line of these texts", staged.Path, last)
				}
				values = last
				if staged.Content != string(content) && !bytes.HasSuffix(content, []byte("\n"+last)) {
					return fmt.Errorf("%s: staged %q, the document says %q", staged.Path, content, staged.Content)
				}
				continue
			}
			last := content[bytes.LastIndexByte(bytes.TrimSuffix(content, []byte("\n")), '\n')+1:]
			if !bytes.HasPrefix(last, []byte("# plan ")) || len(last) != len("# plan 0123456789abcdef\n") {
				return fmt.Errorf("%s: does not end in a plan line: %q", staged.Path, last)
			}
			if plan != "" && plan != string(last) {
				return fmt.Errorf("%s: another plan than the files before it", staged.Path)
			}
			plan = string(last)
			if meant := strings.ReplaceAll(staged.Content, "{{`{{`}}", "{{"); meant != string(content) {
				return fmt.Errorf("%s: staged %q, the document says %q", staged.Path, content, meant)
			}
		}
	}
	if count < 3 {
		return fmt.Errorf("%s: %d staged files, at least 3 are expected", file, count)
	}
	return nil
}

// quoted is a YAML double-quoted scalar in ASCII.
func quoted(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r >= 0x20 && r < 0x7f:
			out.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&out, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || (r >= 0x7f && r < 0xa0) })
}

// nasty is a cloud-config full of nasty strings, and what of it must arrive.
type nasty struct {
	Token string            `json:"token"`
	Text  string            `json:"text"`
	List  []string          `json:"list"`
	Env   map[string]string `json:"env"`
}

// chunk of strings in one document's lists: enough to be quick, few enough to find the culprit.
const chunk = 400

// nastyConfigs writes DIR/N.yaml (cloud-configs) and DIR/N.json (what is meant): each string as a token and as the text of an
// option in a document of its own (as far as there are hand-picked ones), all of them in lists and in the environment.
func nastyConfigs(file, directory string, single int) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all []string
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	seen, strs := map[string]bool{}, []string{}
	for _, s := range all {
		if strings.TrimSpace(s) != "" && !seen[s] {
			seen[s] = true
			strs = append(strs, s)
		}
	}
	if len(strs) < 2900 {
		return fmt.Errorf("%s: %d different strings", file, len(strs))
	}
	number := 0
	write := func(n nasty) error {
		number++
		var config strings.Builder
		fmt.Fprintf(&config, "#cloud-config\ncluster:\n  role: init\n  cluster_token: %s\n  config:\n    node-name: %s\n", quoted(n.Token), quoted(n.Text))
		if len(n.List) > 0 {
			config.WriteString("    kubelet-arg:\n")
			for _, s := range n.List {
				fmt.Fprintf(&config, "      - %s\n", quoted(s))
			}
		}
		if len(n.Env) > 0 {
			config.WriteString("  env:\n")
			for name, s := range n.Env {
				fmt.Fprintf(&config, "    %s: %s\n", name, quoted(s))
			}
		}
		path := filepath.Join(directory, fmt.Sprintf("%04d", number))
		if err := os.WriteFile(path+".json", []byte(toJSON(n)), 0o600); err != nil {
			return err
		}
		return os.WriteFile(path+".yaml", []byte(config.String()), 0o600)
	}
	for start := 0; start < len(strs); start += chunk {
		n := nasty{Token: "a-long-enough-token", Text: "node", List: strs[start:min(start+chunk, len(strs))], Env: map[string]string{}}
		for i, s := range n.List {
			if !hasControl(s) {
				n.Env[fmt.Sprintf("LAB_%d", i)] = s
			}
		}
		if err := write(n); err != nil {
			return err
		}
	}
	for i, s := range strs {
		if i == single {
			break
		}
		if err := write(nasty{Token: s, Text: s}); err != nil {
			return err
		}
	}
	return nil
}

// replaced are the lists of which the last file counts; others are concatenated.
var replaced = map[string]bool{
	"cluster-cidr": true, "service-cidr": true, "cluster-dns": true, "node-ip": true, "node-external-ip": true, "cni": true,
	"ingress-controller": true,
}

// decoded reads a JSON object, numbers as they are written.
func decoded(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	object := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return object, decoder.Decode(&object)
}

// meant compares what RKE2's reader makes of the config.yaml below a root with the same file read as plain JSON, and, where config.d
// holds nothing of others, with what the staged drop-ins say.
func meant(options []option, root string) error {
	var plan struct {
		Role      string
		Templates []string
	}
	text, err := os.ReadFile(filepath.Join(root, "run/provider-rke2/plan.yaml"))
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, &plan); err != nil {
		return err
	}
	role := "server"
	if plan.Role == "worker" {
		role = "agent"
	}
	config := filepath.Join(root, "etc/rancher/rke2/config.yaml")
	settings, err := read(options, role, config)
	if err != nil {
		return err
	}
	plain, err := decoded(config)
	if err != nil {
		return err
	}
	// What RKE2's own drop-ins say is not in config.yaml.
	others, err := filepath.Glob(config + ".d/*")
	if err != nil {
		return err
	}
	for _, file := range others {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		said := map[string]any{}
		if yaml.Unmarshal(text, &said) != nil {
			continue
		}
		for key := range said {
			key = strings.TrimRight(key, "+")
			delete(plain, key)
			settings = slices.DeleteFunc(settings, func(s setting) bool { return s.Name == key })
		}
	}
	if err := same(options, role, settings, plain); err != nil {
		return err
	}
	if strings.HasPrefix(filepath.Base(root), "merge-") {
		return nil
	}
	evaluated := map[string]string{}
	for number, text := range plan.Templates {
		content, err := os.ReadFile(filepath.Join(root, "run/provider-rke2/values", strconv.Itoa(number)))
		if err != nil {
			return err
		}
		// One that failed stays as it is.
		if at := bytes.LastIndex(content, []byte("\n# values ")); at >= 0 {
			evaluated[text] = string(content[:at])
		}
	}
	all := map[string]any{}
	for _, name := range []string{"90", "99"} {
		drop, err := decoded(filepath.Join(root, "run/provider-rke2/config.d", name+"_userdata.yaml"))
		if err != nil {
			return err
		}
		for key, value := range drop {
			// The only secret here; no secret is evaluated.
			if key != "token" {
				value = filled(value, evaluated)
			}
			list, isList := value.([]any)
			before, hadList := all[key].([]any)
			if isList && hadList && !replaced[key] {
				value = append(before, list...)
			}
			all[key] = value
		}
	}
	return same(options, role, settings, all)
}

// filled is an option with what yip has made of its texts; what is empty then is left out.
func filled(value any, evaluated map[string]string) any {
	switch value := value.(type) {
	case string:
		if text, ok := evaluated[value]; ok && text == "" {
			return nil
		} else if ok {
			return text
		}
	case []any:
		items := []any{}
		for _, item := range value {
			if item := filled(item, evaluated); item != nil {
				items = append(items, item)
			}
		}
		return items
	}
	return value
}

// same compares what RKE2 reads with what it should, option by option.
func same(options []option, role string, settings []setting, all map[string]any) error {
	got := map[string]string{}
	for _, s := range settings {
		got[s.Name] = toJSON(s.Value)
	}
	for _, o := range options {
		value, given := all[o.Name]
		given = given && value != nil
		if list, ok := value.([]any); ok {
			texts := []string{}
			for _, item := range list {
				texts = append(texts, fmt.Sprint(item))
			}
			value, given = lastOfEqual(texts), len(list) > 0
		}
		if !given || (role == "server" && !o.Server) || (role == "agent" && !o.Agent) {
			if _, set := got[o.Name]; set {
				return fmt.Errorf("%s is set to %s, nobody asked for it", o.Name, got[o.Name])
			}
			continue
		}
		want := toJSON(value)
		switch o.Type {
		case "string":
			want = toJSON(strings.TrimSpace(fmt.Sprint(value)))
		case "duration":
			duration, err := time.ParseDuration(fmt.Sprint(value))
			if err != nil {
				return fmt.Errorf("%s: %w", o.Name, err)
			}
			want = toJSON(duration.String())
		}
		if got[o.Name] != want {
			return fmt.Errorf("%s: RKE2 reads %s, meant is %s", o.Name, got[o.Name], want)
		}
		compared++
	}
	return nil
}

// compared counts the options that same has compared.
var compared int

// lastOfEqual takes white space off both ends, as RKE2 does (wrangler convert.ToString); of equal items the last stays.
func lastOfEqual(list []string) []string {
	result := []string{}
	for i, item := range list {
		again := false
		for _, later := range list[i+1:] {
			again = again || strings.TrimSpace(later) == strings.TrimSpace(item)
		}
		if !again {
			result = append(result, strings.TrimSpace(item))
		}
	}
	return result
}

// meantAll runs meant over every root in a directory.
func meantAll(file, directory string) error {
	options, err := readOptions(file)
	if err != nil {
		return err
	}
	roots, err := filepath.Glob(directory + "/*")
	if err != nil {
		return err
	}
	wrong, unready := 0, 0
	for _, root := range roots {
		if info, err := os.Stat(filepath.Join(root, "etc/rancher/rke2/config.yaml")); err != nil || !info.Mode().IsRegular() {
			unready++
			continue
		}
		if err := meant(options, root); err != nil {
			wrong++
			fmt.Printf("%s: %s\n", filepath.Base(root), err)
		}
	}
	fmt.Printf("reader: %d configurations, %d options compared, %d without config.yaml\n", len(roots)-unready, compared, unready)
	if wrong > 0 || len(roots)-unready < 250 || compared < 1000 {
		return fmt.Errorf("%d of %d configurations are read as something else than was meant", wrong, len(roots)-unready)
	}
	return nil
}

// nastyStaged compares staged files with what was meant.
func nastyStaged(meant, directory string) error {
	text, err := os.ReadFile(meant)
	if err != nil {
		return err
	}
	var n nasty
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	load := func(name string, into any) error {
		content, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, "plan.yaml") {
			return yaml.Unmarshal(content, into)
		}
		return json.NewDecoder(bytes.NewReader(content)).Decode(into)
	}
	var user struct {
		Name string   `json:"node-name"`
		List []string `json:"kubelet-arg"`
	}
	var own struct {
		Token string `json:"token"`
	}
	var plan struct{ Env map[string]string }
	if err := load("config.d/90_userdata.yaml", &user); err != nil {
		return err
	}
	if err := load("config.d/99_userdata.yaml", &own); err != nil {
		return err
	}
	if err := load("plan.yaml", &plan); err != nil {
		return err
	}
	if own.Token != strings.TrimSpace(n.Token) {
		return fmt.Errorf("token: meant %q, staged %q", n.Token, own.Token)
	}
	if user.Name != strings.TrimSpace(n.Text) {
		return fmt.Errorf("text: meant %q, staged %q", n.Text, user.Name)
	}
	entries := lastOfEqual(n.List)
	if len(user.List) != len(entries) || len(plan.Env) != len(n.Env) {
		return fmt.Errorf("%d of %d list entries, %d of %d variables", len(user.List), len(entries), len(plan.Env), len(n.Env))
	}
	for i, s := range entries {
		if user.List[i] != s {
			return fmt.Errorf("list entry %d: meant %q, staged %q", i, s, user.List[i])
		}
	}
	for name, s := range n.Env {
		if plan.Env[name] != cleaned(s) {
			return fmt.Errorf("env %s: meant %q, staged %q", name, cleaned(s), plan.Env[name])
		}
	}
	return nil
}

// cleaned is a variable as systemd read it from the file of the Go provider: without blanks around it and one pair of quotes.
func cleaned(s string) string {
	s = strings.Trim(s, " \t\r\n")
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// documents compares all documents of a directory with what yip has made of them, and those of nasty strings with their meaning.
func documents(docs, directory, cases string) error {
	files, err := filepath.Glob(docs + "/*.yaml")
	if err != nil {
		return err
	}
	wrong := 0
	complain := func(name string, err error) {
		if err != nil {
			wrong++
			fmt.Printf("%s: %.400s\n", name, err)
		}
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		complain(name, staged(file, directory))
		meaning := filepath.Join(cases, name+".json")
		if strings.HasPrefix(name, "nasty-") {
			complain(name, nastyStaged(meaning, filepath.Join(directory, name, "run/provider-rke2")))
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d complaints about %d documents", wrong, len(files))
	}
	return nil
}

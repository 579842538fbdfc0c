package web_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// words reads the texts of a language: by key, a text or its plural forms.
func words(t *testing.T, lang string) map[string]any {
	t.Helper()
	b, err := os.ReadFile("i18n/active." + lang + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := yaml.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if len(m) == 0 {
		t.Fatalf("no texts in %s", lang)
	}
	return m
}

var argument = regexp.MustCompile(`\{\{\s*\.(\w+)`)

// arguments lists what a text, or its plural forms together, takes.
func arguments(v any) string {
	seen := map[string]bool{}
	switch v := v.(type) {
	case string:
		for _, m := range argument.FindAllStringSubmatch(v, -1) {
			seen[m[1]] = true
		}
	case map[string]any:
		for _, form := range v {
			for _, name := range strings.Fields(arguments(form)) {
				seen[name] = true
			}
		}
	}
	var list []string
	for name := range seen {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Both languages have every key, with the same arguments and the plural forms of
// the language (CLDR: English one and other; Italian one, many and other).
func TestLanguagesAreComplete(t *testing.T) {
	en, it := words(t, "en"), words(t, "it")
	for key, text := range en {
		other, ok := it[key]
		if !ok {
			t.Errorf("%s is missing in Italian", key)
			continue
		}
		// A form may leave the number out: "and one more".
		if arguments(text) != arguments(other) {
			t.Errorf("%s takes %q in English and %q in Italian", key, arguments(text), arguments(other))
		}
		for lang, v := range map[string]any{"en": text, "it": other} {
			forms, plural := v.(map[string]any)
			if s, ok := v.(string); ok && strings.TrimSpace(s) == "" {
				t.Errorf("%s is empty in %s", key, lang)
			}
			if _, both := text.(map[string]any); plural != both {
				t.Errorf("%s has plural forms in one language only", key)
			}
			for _, form := range map[string][]string{"en": {"one", "other"}, "it": {"one", "many", "other"}}[lang] {
				if plural && forms[form] == nil {
					t.Errorf("%s lacks the form %q in %s", key, form, lang)
				}
			}
		}
	}
	for key := range it {
		if _, ok := en[key]; !ok {
			t.Errorf("%s is missing in English", key)
		}
	}
}

// causes are the causes of gaps.
func causes() []string {
	var list []string
	for _, c := range duties.Causes() {
		list = append(list, string(c))
	}
	return list
}

// codes are the values that keys with a prefix are made of.
func codes() map[string][]string {
	list := map[string][]string{
		"service": duties.Services(), "party": {duties.Provider, duties.Customer},
		"cause":      causes(),
		"proof":      {duties.ProofCheck, duties.ProofReview, duties.ProofWorkflow, duties.ProofAttestation},
		"kind":       {"dnsbl", "backup", "restore", "hypervisor", "eventlog", "software", "health", "endpoints", "storage", "accounts", "antivirus", "mail", "workflow", "restored"},
		"hyper":      {"online", "offline", "maintenance", "available", "inactive", "disabled", "running", "stopped", "paused", "suspended", "crashed", "unknown", "ok", "off", "busy", "error"},
		"proof_name": {ledger.ProofEntry, ledger.ProofSignature, ledger.ProofChain, ledger.ProofContent, ledger.ProofIndex, ledger.ProofInclusion},
		"severity":   {evidence.SeverityInfo, evidence.SeverityLow, evidence.SeverityMedium, evidence.SeverityHigh, evidence.SeverityCritical},
		"backup":     {evidence.BackupOK, evidence.BackupWarning, evidence.BackupFailed, evidence.BackupUnknown},
		"files":      {evidence.FilesIntact, evidence.FilesNotChecked},
		"tri":        {evidence.Yes, evidence.No, evidence.Unknown}, "from": {evidence.FromDistribution, evidence.FromProducer},
		"unit": {evidence.ServiceRunning, evidence.ServiceStopped, evidence.ServiceUnknown}, "tier": {"a", "b", "c"}, "root": {"no", "keys", "yes"},
		"measure": {"cpu", "memory", "load"}, "facts": {"missing", "erased"}, "encryption": {"none", "unknown"}, "assurance": {"a1", "a2", "server"}, "who_could": {"a1", "a2", "server"},
		"protection": {evidence.ProtectionFile, evidence.ProtectionSystemd, evidence.ProtectionDPAPI, evidence.ProtectionTPM}, "storage": {evidence.StorageDisk, evidence.StorageArray, evidence.StoragePool, evidence.StorageRemote, evidence.StorageController, evidence.StorageMultipath}, "account": {evidence.AccountPassword, evidence.AccountEmpty, evidence.AccountLocked, evidence.AccountUnknown}, "update": {evidence.UpdateOK, evidence.UpdateFailed, evidence.UpdateUnknown}, "av_running": {evidence.Yes, evidence.No, evidence.Unknown}, "endpoint_found": {evidence.EndpointConfigured, evidence.EndpointListening}, "reason": {"retired", "replaced", "lost", "stolen", "cloned"},
		"event": {"review_confirmed", "agent_revoked", "agent_rejoined", "agent_approved", "case_opened", "case_step", "case_withdrawn", "case_reported", "case_read", "statement_attested", "statement_waived", "alert_acknowledged", "alert_silenced", "alert_unsilenced", "channel_added", "channel_removed", "parameter_set", "verdicts_rejudged", "ruleset_in_force", "org_services", "agent_serves", "log_key-revocation", "log_erasure", "log_epoch"},
	}
	list["event"] = append(list["event"], "review_digest", "statement_standing", "need_declared", "restore_tested", "statement_cosigned")
	list["role"] = []string{store.RoleAdmin, store.RoleOperator, store.RoleViewer, store.RoleAuditor}
	list["role_may"], list["via"] = list["role"], []string{"password", "link", "totp", "recovery", "passkey", "oidc"}
	list["scope"] = store.Scopes()
	list["actor"], list["param"] = []string{"token", "link", "gone"}, []string{store.ParamLate, store.ParamSecond}
	list["basis"], list["anew"] = []string{"retention", "request", "mistake", "offboarding"}, []string{"restored", "lost", "rewritten"}
	list["told"], list["delivery"] = []string{alert.Firing, alert.Reminder, alert.Escalated, alert.Resolved}, []string{"delivered", "failed", "refused"}
	for m := 1; m <= 12; m++ {
		list["month"] = append(list["month"], strconv.Itoa(m))
	}
	list["then"] = []string{"day", "week", "month", "year"}
	for _, v := range duties.Verdicts() {
		list["verdict"] = append(list["verdict"], v.String())
	}
	for _, o := range []evidence.Outcome{evidence.Failed, evidence.Partial, evidence.Complete, evidence.Unsupported} {
		list["outcome"] = append(list["outcome"], o.String())
	}
	for _, e := range []string{alert.EventDelivered, alert.EventFailed, alert.EventRefused} {
		list["event"] = append(list["event"], strings.ReplaceAll(e, ".", "_"))
	}
	list["proof_what"] = list["proof_name"]
	list["check_step"] = []string{"root", "log", "custody", "inclusion", "signature", "entry", "chain", "content", "kept"}
	list["stands"] = []string{"waiting", "forked", "silent", "new", "sending", "revoked"}
	list["channel"] = []string{alert.Email, alert.Webhook, alert.Chat}
	list["check_what"] = list["check_step"]
	return list
}

var (
	textInTemplate = regexp.MustCompile(`\$?\.T "(\w+)"`)
	wordInTemplate = regexp.MustCompile(`\.Word "(\w+)"`)
	wordInCode     = regexp.MustCompile(`p\.Word\("(\w+)"`)
	madeInTemplate = regexp.MustCompile(`\.T \(print "(\w+)_" `)
	textInCode     = regexp.MustCompile(`\bT\("(\w+)"[,)]`)
	plainInCode    = regexp.MustCompile(`plain\[lang\]\["(\w+)"\]`)
	titleInCode    = regexp.MustCompile(`w\.render\(rw, r, [^,]+, "\w+", "(\w+)",`)
	faultInCode    = regexp.MustCompile(`(?:[fF]ault(?: =|:)|Done:|clockPage\(rw, r, key,|askSecond\(rw, r, [\w.]+,|passwordFault\{|return [mu],|return "",) ?"(\w+)"`)
	mailInCode     = regexp.MustCompile(`w\.mail\([^)]*, "(\w+)", map`)
	eventInCode    = regexp.MustCompile(`event\w+ += "([\w.]+)"`)
	problemInCode  = regexp.MustCompile(`key: "(\w+)"`)
	refusalInCode  = regexp.MustCompile(`duties\.Refusal\{Key: "(\w+)"`)
)

// Every key that templates and code use exists, and none is left over.
func TestEveryTextIsThereAndUsed(t *testing.T) {
	have, used := words(t, "en"), map[string]bool{}
	prefixes := map[string]bool{}
	scan := func(glob string, fn func(text string)) {
		names, err := filepath.Glob(glob)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: no files (%v)", glob, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fn(string(b))
		}
	}
	note := func(re *regexp.Regexp, text string, fn func(string)) {
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			fn(m[1])
		}
	}
	use := func(key string) { used[key] = true }
	scan("templates/*.html", func(text string) {
		note(textInTemplate, text, use)
		note(wordInTemplate, text, func(p string) { prefixes[p] = true })
		note(madeInTemplate, text, func(p string) { prefixes[p] = true })
	})
	scan("*.go", func(text string) {
		note(wordInCode, text, func(p string) { prefixes[p] = true })
		note(textInCode, text, use)
		note(plainInCode, text, use)
		note(titleInCode, text, use)
		note(faultInCode, text, use)
		note(mailInCode, text, func(kind string) { use("mail_" + kind + "_subject"); use("mail_" + kind + "_body") })
		note(eventInCode, text, func(event string) { use("event_" + strings.ReplaceAll(event, ".", "_")) })
		note(problemInCode, text, func(key string) { use("error_" + key); use("error_" + key + "_cure") })
	})
	scan("../*.go", func(text string) {
		note(eventInCode, text, func(event string) { use("event_" + strings.ReplaceAll(event, ".", "_")) })
		note(refusalInCode, text, func(key string) { use("error_" + key); use("error_" + key + "_cure") })
	})
	use("duties") // as a heading only
	known := codes()
	for prefix := range prefixes {
		if prefix == "error" || prefix == "rule" {
			continue // used above; rules are the agent's, and one without words stands for itself
		}
		if len(known[prefix]) == 0 {
			t.Errorf("keys that begin with %s_ are made, of what is not known here", prefix)
		}
		for _, code := range known[prefix] {
			use(prefix + "_" + code)
		}
	}
	for key := range used {
		if have[key] == nil {
			t.Errorf("%s is used and has no text", key)
		}
	}
	for key := range have {
		if !used[key] && !strings.HasPrefix(key, "rule_") {
			t.Errorf("%s has a text and is not used", key)
		}
	}
}

// No page has a style or a script of its own, and none asks anything of another
// server: the policy would stop it.
func TestTemplatesKeepThePolicy(t *testing.T) {
	inline := regexp.MustCompile(`(?i)\sstyle=|\son\w+=|hx-on|<style|<script[^>]*>[^<]|javascript:|(src|href)="(https?:)?//`)
	err := fs.WalkDir(os.DirFS("."), "templates", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if m := inline.Find(b); m != nil {
			t.Errorf("%s has %q", name, m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

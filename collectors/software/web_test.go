//go:build linux

package software_test

import (
	"crypto/md5" //nolint:gosec // the sums that WordPress publishes
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

const versionPHP = "<?php\n/**\n * @since 1.2.0 $wp_version = '1.0';\n */\n// $wp_version = '2.0';\n$wp_version = '6.8.3';\n$wp_db_version = 60421;\n$wp_local_package = 'it_IT';\n"

func TestWordPressVersion(t *testing.T) {
	for name, tt := range map[string]struct {
		php, want string
	}{
		"as published":      {versionPHP, "6.8.3 it_IT"},
		"in English":        {"<?php $wp_version = \"7.1\";", "7.1 "},
		"development build": {"<?php\n$wp_version='6.9-alpha-60093-src';", "6.9-alpha-60093-src "},
		"mark in a string":  {"<?php $a = 'http://x'; $wp_version = '5.8.2';", "5.8.2 "},
		"last one counts":   {"<?php $wp_version = '5.0'; $wp_version = '5.1';", "5.1 "},
		"CRLF":              {"<?php\r\n$wp_version = '5.8';\r\n", "5.8 "},
		"commented out":     {"<?php /* $wp_version = '4.5'; */ # $wp_version = '4.6';\n", "error"},
		"an expression":     {"<?php $wp_version = trim('4.5');", "error"},
		"not a version":     {"<?php $wp_version = '<script>';", "error"},
		"empty":             {"", "error"},
		"cut in a comment":  {"<?php /* $wp_version", "error"},
	} {
		core, err := software.ParseWordPressVersion([]byte(tt.php))
		got := core.Version + " " + core.Locale
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q (%v)", name, got, tt.want, err)
		}
	}
}

func TestHeads(t *testing.T) {
	for text, want := range map[string]string{
		"<?php\n/*\nPlugin Name: A thing\nVersion: 1.2.3 */": "A thing|1.2.3",
		"<?php /* Plugin Name:A */\n/* Version:2 */":         "A|2",
		" * plugin name: B\r\n * version: 3.0-beta1\r\n":     "B|3.0-beta1",
		"# Plugin Name: C":           "C|",
		"Plugin Name:":               "none",
		"<?php // silence is golden": "none",
		strings.Repeat(" ", 9000) + "Plugin Name: too late":                                "none",
		"/* Plugin Name: D\nVersion: of a whole sentence */":                               "D|",
		"/*\nPlugin Name: E\nStable Version: 9\nRequires WP Version: 8\nVersion: 1 ?> x\n": "E|1",
	} {
		title, version, ok := software.ParsePluginHeader([]byte(text))
		got := title + "|" + version
		if !ok {
			got = "none"
		}
		if got != want {
			t.Errorf("%.60q: %q, want %q", text, got, want)
		}
	}
	if _, v, ok := software.ParseThemeHeader([]byte("/*\nTheme Name: Twenty\nVersion: 2.1\n*/")); !ok || v != "2.1" {
		t.Errorf("theme: %q %v", v, ok)
	}
}

func TestDocumentRoots(t *testing.T) {
	conf := "<VirtualHost *:80>\n  DocumentRoot \"/var/www/my site\"\n  documentroot /srv/a/\n# DocumentRoot /no\n</VirtualHost>\n" +
		"server { listen 80; root /srv/b; location / { root '/srv/c'; } root /srv/$host; }\n#root /no;\n  root /srv/d ;\n  root * /srv/e\n"
	same(t, "roots", software.ParseDocumentRoots([]byte(conf)), []string{"/var/www/my site", "/srv/a", "/srv/b", "/srv/c", "/srv/d", "/srv/e"})
}

// wordpress puts a site into a folder of the machine.
func (m *machine) wordpress(folder, version string) {
	m.write(folder+"/wp-includes/version.php", "<?php\n$wp_version = '"+version+"';\n")
	m.write(folder+"/wp-content/plugins/akismet/akismet.php", "<?php\n/*\nPlugin Name: Akismet\nVersion: 5.3\n*/")
	m.write(folder+"/wp-content/plugins/akismet/class.php", "<?php class A {}")
	m.write(folder+"/wp-content/plugins/hello.php", "<?php /*\nPlugin Name: Hello Dolly\n*/")
	m.write(folder+"/wp-content/plugins/index.php", "<?php // Silence is golden.")
	m.write(folder+"/wp-content/themes/twentytwenty/style.css", "/*\nTheme Name: Twenty Twenty\nVersion: 2.2\n*/")
	m.write(folder+"/wp-config.php", "<?php define('DB_PASSWORD', 'very-secret'); $wp_version = '1.0';")
}

func (m *machine) sites(cfg software.Sites) (*evidence.Web, host.Look) {
	m.t.Helper()
	c, err := software.New(func(v any) error { v.(*software.Config).Sites = cfg; return nil }, m.host)
	m.do(err)
	l, err := c.Collect(m.t.Context(), nil)
	m.do(err)
	f := l.Facts.(evidence.Software)
	if _, err := evidence.FactsBlob(f, l.Gaps); err != nil {
		m.t.Fatal(err)
	}
	return f.Web, l
}

func TestSites(t *testing.T) {
	m := newDebian(t, answers{})
	m.host.MachineKey = []byte("key")
	m.write("/etc/apache2/sites-enabled/shop.conf", "DocumentRoot /opt/shop/public\n")
	m.wordpress("/opt/shop/public", "6.8.3")                                // by Apache's word
	m.wordpress("/var/www/vhosts/example.org/httpdocs", "6.9")              // Plesk
	m.wordpress("/var/www/vhosts/example.org/staging.example.org", "6.9.1") // WP Toolkit's copy
	m.wordpress("/var/www/vhosts/example.org/httpdocs/blog/old", "4.9")     // a forgotten one below
	m.write("/var/www/html/wp-includes/version.php", "<?php echo 1;")       // damaged
	m.write("/srv/www/bedrock/web/wp/wp-includes/version.php", "<?php $wp_version = '7.1';")
	m.write("/srv/www/bedrock/web/app/themes/own/style.css", "/* Theme Name: Own */")
	m.do(os.Symlink(m.root+"/opt/shop", m.root+"/var/www/shop")) // the same by another way
	m.do(syscall.Mkfifo(filepath.Join(m.root, "var/www/pipe"), 0o600))
	m.do(os.MkdirAll(filepath.Join(m.root, "var/www/trap/wp-includes"), 0o755))
	m.do(syscall.Mkfifo(filepath.Join(m.root, "var/www/trap/wp-includes/version.php"), 0o600))

	web, l := m.sites(software.Sites{Discover: true, Names: true})
	var got []string
	for _, s := range web.Sites {
		got = append(got, fmt.Sprintf("%s %s %v %v", s.ID, s.Version, s.Plugins, s.Themes))
	}
	parts := " [{akismet 5.3} {hello }] [{twentytwenty 2.2}]"
	same(t, "sites", got, []string{
		"/opt/shop/public 6.8.3" + parts,
		"/srv/www/bedrock/web/wp 7.1 [] [{own }]",
		"/var/www/vhosts/example.org/httpdocs 6.9" + parts,
		"/var/www/vhosts/example.org/httpdocs/blog/old 4.9" + parts,
		"/var/www/vhosts/example.org/staging.example.org 6.9.1" + parts,
	})
	if gaps := fmt.Sprint(l.Gaps); !strings.Contains(gaps, "assigns no $wp_version") {
		t.Errorf("the damaged site is silent: %s", gaps)
	}

	web, l = m.sites(software.Sites{Discover: true})
	facts, err := json.Marshal(l.Facts)
	m.do(err)
	if strings.Contains(string(facts), "example.org") || strings.Contains(string(facts), "very-secret") || !strings.HasPrefix(web.Sites[0].ID, "site-") {
		t.Errorf("facts name a site or a secret: %s", facts)
	}
	if detail, err := json.Marshal(l.Detail); err != nil || !strings.Contains(string(detail), "/opt/shop/public") {
		t.Errorf("detail %s (%v)", detail, err)
	}
	if web, _ := m.sites(software.Sites{}); web != nil {
		t.Errorf("switched off: %+v", web)
	}
	if web, _ := m.sites(software.Sites{Folders: []string{"/opt/*"}}); len(web.Sites) != 1 {
		t.Errorf("one folder: %+v", web)
	}
}

func TestSiteFiles(t *testing.T) {
	m := newDebian(t, answers{})
	m.wordpress("/var/www/html", "6.8.3")
	m.write("/var/www/html/wp-login.php", "<?php // good")
	sums := map[string]string{"wp-content/themes/x": "0", "index.php": "0"}
	for _, name := range []string{"wp-login.php", "wp-includes/version.php"} {
		b, err := os.ReadFile(filepath.Join(m.root, "var/www/html", name))
		m.do(err)
		sum := md5.Sum(b) //nolint:gosec // the sums that WordPress publishes
		sums[name] = hex.EncodeToString(sum[:])
	}
	list, err := json.Marshal(map[string]any{"checksums": sums})
	m.do(err)
	cfg := software.Sites{Discover: true, Checksums: "/srv/checksums"}
	look := func() string {
		web, l := m.sites(cfg)
		return fmt.Sprint(web.Sites[0].Files, web.Sites[0].Changed, l.Detail)
	}
	if got := look(); !strings.HasPrefix(got, "not_checked0") {
		t.Errorf("without checksums: %s", got)
	}
	m.write("/srv/checksums/6.8.3-en_US.json", string(list))
	if got := look(); !strings.HasPrefix(got, "intact0") {
		t.Errorf("as published: %s", got)
	}
	m.write("/var/www/html/wp-login.php", "<?php eval($_POST['x']);")
	m.write("/var/www/html/wp-includes/.cache.php", "<?php // a stranger")
	if got := look(); !strings.HasPrefix(got, "changed2") || !strings.Contains(got, "wp-includes/.cache.php wp-login.php") {
		t.Errorf("changed: %s", got)
	}
	m.write("/srv/checksums/6.8.3-en_US.json", `{"checksums":false}`)
	if _, l := m.sites(cfg); !strings.Contains(fmt.Sprint(l.Gaps), "checksums of WordPress") {
		t.Errorf("damaged checksums: %v", l.Gaps)
	}
}

// A document root that the agent may not read is said to be so.
func TestSitesWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read all")
	}
	m := newDebian(t, answers{})
	m.wordpress("/var/www/html", "6.8.3")
	m.do(os.Chmod(filepath.Join(m.root, "var/www/html"), 0))
	t.Cleanup(func() { m.do(os.Chmod(filepath.Join(m.root, "var/www/html"), 0o755)) })
	if web, l := m.sites(software.Sites{Discover: true}); len(web.Sites) != 0 || !strings.Contains(fmt.Sprint(l.Gaps), evidence.GapWeb) {
		t.Errorf("%+v, gaps %v", web, l.Gaps)
	}
}

// Debian's own package of WordPress, unpacked.
func TestRealWordPress(t *testing.T) {
	hosttest.NeedTool(t, "apt-get", "dpkg-deb")
	m := newDebian(t, answers{})
	get := exec.Command("apt-get", "download", "wordpress")
	get.Dir = t.TempDir()
	if out, err := get.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("Debian's archive cannot be reached: %s", out)
		}
		t.Skipf("Debian's archive cannot be reached: %s", out)
	}
	packages, err := filepath.Glob(get.Dir + "/wordpress_*.deb")
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v (%v)", packages, err)
	}
	version, err := exec.Command("dpkg-deb", "-f", packages[0], "Version").Output()
	m.do(err)
	m.do(exec.Command("dpkg-deb", "-x", packages[0], m.root).Run())
	web, _ := m.sites(software.Sites{Discover: true})
	if len(web.Sites) != 1 || !strings.HasPrefix(string(version), web.Sites[0].Version) {
		t.Errorf("%+v, the package is %s", web, version)
	}
}

package software

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/attesto/attesto/collectors/host"
)

// webConfigs are the files in which Apache and nginx name document roots, by the
// layouts of Debian, RHEL, SUSE and Plesk.
var webConfigs = []string{
	"/etc/apache2/sites-enabled/*", "/etc/apache2/conf-enabled/*", "/etc/apache2/vhosts.d/*.conf", "/etc/apache2/httpd.conf",
	"/etc/httpd/conf/httpd.conf", "/etc/httpd/conf.d/*.conf", "/etc/httpd/sites-enabled/*",
	"/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2/conf/extra/*.conf",
	"/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled/*", "/etc/nginx/conf.d/*.conf", "/etc/nginx/vhosts.d/*.conf",
	"/var/www/vhosts/system/*/conf/httpd.conf", "/var/www/vhosts/system/*/conf/nginx.conf",
	"/etc/caddy/Caddyfile", "/usr/local/lsws/conf/vhosts/*/vhconf.conf",
}

// webFolders are where sites lie by custom: Debian, RHEL and SUSE; Plesk with its
// subdomains and WP Toolkit's copies; cPanel and DirectAdmin; ISPConfig.
var webFolders = []string{
	"/var/www", "/var/www/html", "/srv/www", "/srv/www/htdocs", "/srv/http", "/usr/share/nginx/html", "/usr/share/wordpress",
	"/var/www/vhosts/*/httpdocs", "/var/www/vhosts/*/*", "/var/www/clients/client*/web*/web",
	"/home/*/public_html", "/home/*/www", "/home/*/htdocs", "/home/*/web/*/public_html", "/home/*/domains/*/public_html",
}

// rootStatement is DocumentRoot of Apache (httpd.apache.org/docs/2.4/mod/core.html),
// docRoot of LiteSpeed, root of nginx (ngx_http_core_module) and of Caddy.
var rootStatement = regexp.MustCompile(`^(?:(?i:DocumentRoot|docRoot)|root(?:\s+\*)?)\s+(?:"([^"]+)"|'([^']+)'|(\S+))$`)

// ParseDocumentRoots reads the document roots that a configuration of Apache, nginx,
// LiteSpeed or Caddy names. Those that hold variables are left out.
func ParseDocumentRoots(conf []byte) []string {
	var out []string
	for line := range strings.Lines(string(conf)) {
		if at := strings.IndexByte(line, '#'); at >= 0 {
			line = line[:at]
		}
		for statement := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(";{}\n\r", r) }) {
			m := rootStatement.FindStringSubmatch(strings.TrimSpace(statement))
			if m == nil {
				continue
			}
			root := path.Clean(m[1] + m[2] + m[3])
			if path.IsAbs(root) && root != "/" && len(root) < 1000 && !strings.ContainsAny(root, "$*?[\\\x00") && !slices.Contains(out, root) && len(out) < maxRoots {
				out = append(out, root)
			}
		}
	}
	return out
}

// documentRoots lists the folders of this host that sites lie in.
func documentRoots(h *host.Host, patterns []string) []string {
	var out []string
	add := func(root string) {
		if info, err := h.Stat(root); err == nil && info.IsDir() && !slices.Contains(out, root) {
			out = append(out, root)
		}
	}
	for _, pattern := range patterns {
		found, err := h.Glob(pattern)
		if err != nil {
			continue
		}
		for _, root := range found[:min(len(found), maxRoots)] {
			add(root)
		}
	}
	return out
}

// configuredRoots are the document roots that web servers' files name.
func (w *web) configuredRoots() []string {
	var out []string
	for _, pattern := range webConfigs {
		files, err := w.c.h.Glob(pattern)
		if err != nil {
			continue
		}
		for _, file := range files[:min(len(files), maxRoots)] {
			w.served = true
			b, err := w.c.h.ReadFile(file, 4<<20)
			if errors.Is(err, fs.ErrPermission) {
				w.gap("a web server's settings", "%s: no permission, so the sites that it names are not known: %s", file, host.CureFile(file))
			}
			if err == nil {
				out = append(out, ParseDocumentRoots(b)...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unlisted tells of folders that could hide sites. Homes count only where a web server
// is, and not those that are their owners' alone: elsewhere nothing serves them.
func (w *web) unlisted(cfg Sites) {
	patterns := slices.Clone(cfg.Folders)
	if cfg.Discover {
		settings := w.c.h.Unlisted(webConfigs...)
		for _, dir := range settings {
			w.gap("a web server's settings", "%s may not be listed, so the sites that it names are not known: %s", dir, host.CureFolder(dir))
		}
		if w.served || len(settings) > 0 {
			patterns = slices.Concat(patterns, webFolders)
		}
	}
	closed := slices.DeleteFunc(w.c.h.Unlisted(patterns...), func(dir string) bool { return strings.HasPrefix(dir, "/home/") && w.c.h.Owned(dir) })
	if n := len(closed); n > 0 {
		w.gap("document roots", "%d folders in which sites lie by custom may not be listed: run the agent with CAP_DAC_READ_SEARCH to see its sites", n)
	}
}

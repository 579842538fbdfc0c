package software

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/attesto/attesto/evidence"
)

// productNames says which packages are a product's, by the names that
// distributions and producers give them. A product without a life cycle in the
// data is named all the same.
var productNames = []struct {
	product  string
	packages *regexp.Regexp
}{
	{"apache-http-server", regexp.MustCompile(`^(apache2|httpd)$`)},
	{"bind", regexp.MustCompile(`^(bind9|bind|bind9\.\d+)$`)},
	{"clamav", regexp.MustCompile(`^(clamav|clamav-daemon|clamd)$`)},
	{"docker-engine", regexp.MustCompile(`^(docker-ce|docker\.io|moby-engine)$`)},
	{"dovecot", regexp.MustCompile(`^(dovecot|dovecot-core)$`)},
	{"exim", regexp.MustCompile(`^(exim|exim4-base)$`)},
	{"mariadb", regexp.MustCompile(`^(mariadb-server(-\d.*)?|MariaDB-server)$`)},
	{"mysql", regexp.MustCompile(`^(mysql-server(-\d.*)?|mysql-community-server)$`)},
	{"nginx", regexp.MustCompile(`^(nginx|nginx-(core|light|full|extras|common))$`)},
	{"openssh", regexp.MustCompile(`^openssh-server$`)},
	{"openssl", regexp.MustCompile(`^openssl$`)},
	// Remi, cPanel, CloudLinux and Plesk put the version into the name.
	{"php", regexp.MustCompile(`^(php\d[\d.]*-common|php-common|php\d+-php-common|ea-php\d+-php-common|alt-php\d+|plesk-php\d+)$`)},
	{"phpmyadmin", regexp.MustCompile(`^(phpmyadmin|phpMyAdmin)$`)},
	{"plesk", regexp.MustCompile(`^psa$`)},
	{"postfix", regexp.MustCompile(`^postfix$`)},
	{"postgresql", regexp.MustCompile(`^(postgresql-\d[\d.]*|postgresql\d*-server)$`)},
	{"proxmox-backup-server", regexp.MustCompile(`^proxmox-backup-server$`)},
	{"proxmox-mail-gateway", regexp.MustCompile(`^pmg-api$`)},
	{"proxmox-ve", regexp.MustCompile(`^pve-manager$`)},
	{"redis", regexp.MustCompile(`^(redis|redis-server)$`)},
	{"roundcube", regexp.MustCompile(`^(roundcube|roundcube-core|roundcubemail)$`)},
}

// product is a package that is recognised.
type product struct {
	name string
	pkg  Installed
	from string
}

// recognise finds the products among packages. In Debian's and Ubuntu's php-common
// there is no PHP and its version is none of PHP: theirs is php8.2-common.
func recognise(manager string, packages []Installed) []product {
	var out []product
	for _, p := range packages {
		for _, r := range productNames {
			if !r.packages.MatchString(p.Name) || manager == managerDpkg && p.Name == "php-common" {
				continue
			}
			out = append(out, product{name: r.product, pkg: p})
		}
	}
	return out
}

var upstream = regexp.MustCompile(`^(?:\d+:)?(\d+(?:\.\d+)*(?:[a-z]\d*)?)`)

// upstreamVersion takes a package's version down to the producer's: of
// 1:10.11.6-0+deb12u1 it is 10.11.6, of 1.1.1w-0+deb11u1 it is 1.1.1w.
func upstreamVersion(version string) string {
	if m := upstream.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return version
}

// cycleVersion is the numbers of a version, without a letter that follows them.
func cycleVersion(version string) string {
	if i := strings.IndexFunc(version, unicode.IsLetter); i > 0 {
		return version[:i]
	}
	return version
}

// ownSupport are products that their producer alone maintains, whatever
// archive offers them.
var ownSupport = map[string]bool{"proxmox-ve": true, "proxmox-backup-server": true, "proxmox-mail-gateway": true, "plesk": true}

// addProducts makes facts of what was recognised.
func (l *look) addProducts(found []product) {
	data := l.cycles
	for _, p := range found {
		f := evidence.Product{Name: p.name, Version: upstreamVersion(p.pkg.Version), From: p.from}
		if ownSupport[p.name] {
			f.From = evidence.FromProducer
		}
		_, known := data.Products[p.name]
		if f.From == evidence.FromProducer && known {
			version := cycleVersion(f.Version)
			cycle, ok := data.find(p.name, version)
			newest := !ok && data.newest(p.name, version)
			f.EOL, f.Open = cycle.day(), newest || cycle.EOL == open
			if !ok && !newest {
				l.gap("end of life of "+p.name+" "+clip(f.Version), "its release is not in the data of %s", data.Date)
			}
		}
		if !slices.Contains(l.products, f) {
			l.products = append(l.products, f)
		}
	}
	if day, err := time.Parse(time.DateOnly, data.Date); err == nil && l.now.Sub(day) > dataAge {
		l.gap("ends of life", "the data of this build is of %s: update the agent", data.Date)
	}
}

// pleskFiles are where Plesk keeps its version, with packages of rpm and of Debian.
var pleskFiles = []string{"/usr/local/psa/version", "/opt/psa/version"}

// pleskFile finds Plesk by its own file: its package does not bear its version everywhere.
func (l *look) pleskFile() {
	for _, file := range pleskFiles {
		b, err := l.h.ReadFile(file, 4<<10)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var version string
		if err == nil {
			version, err = ParsePleskVersion(b)
		}
		if err != nil {
			l.gap("the version of Plesk", "%v", plain(err))
			return
		}
		l.products = slices.DeleteFunc(l.products, func(p evidence.Product) bool { return p.Name == "plesk" })
		l.addProducts([]product{{name: "plesk", pkg: Installed{Version: version}}})
		return
	}
}

// originsByApt tells by apt's policy which products the distribution maintains.
func originsByApt(policy Policy, o OS, found []product) {
	own := false
	for _, a := range policy.Archives {
		own = own || o.ownOrigin(a.Origin)
	}
	if !own {
		return // without the distribution's own lists nothing can be told apart
	}
	for i, p := range found {
		found[i].from = evidence.FromProducer
		if slices.ContainsFunc(policy.origins(p.pkg.Name), o.ownOrigin) {
			found[i].from = evidence.FromDistribution
		}
	}
}

// ownOrigin reports whether an archive's Origin is this distribution's, or that
// of one that it is built on: "Debian", "UbuntuESM" on Ubuntu.
func (o OS) ownOrigin(origin string) bool {
	origin = strings.ToLower(origin)
	return slices.ContainsFunc(append([]string{o.ID}, o.Like...), func(id string) bool {
		return id != "" && strings.HasPrefix(origin, id)
	})
}

// ofAlpine is what the addresses of Alpine's own repositories end in, on every mirror.
var ofAlpine = regexp.MustCompile(`/(v\d+\.\d+|latest-stable|edge)/(main|community|testing)/?$`)

// originsByApk takes all of apk's packages for Alpine's where no other repository is
// configured (apk-repositories(5)): its database does not say where each comes from.
func (l *look) originsByApk(o OS, found []product) {
	b, err := l.h.ReadFile("/etc/apk/repositories", 1<<20)
	if err != nil || o.ID != "alpine" {
		return
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !ofAlpine.MatchString(line) {
			return
		}
	}
	for i := range found {
		found[i].from = evidence.FromDistribution
	}
}

// rpmVendors are the beginnings of VENDOR in each distribution's own packages.
var rpmVendors = map[string][]string{
	"rhel": {"Red Hat"}, "almalinux": {"AlmaLinux"}, "rocky": {"Rocky"}, "centos": {"CentOS", "The CentOS"},
	"ol": {"Oracle"}, "fedora": {"Fedora"}, "amzn": {"Amazon"}, "cloudlinux": {"CloudLinux", "Cloud Linux"},
	"sles": {"SUSE"}, "sles_sap": {"SUSE"}, "opensuse-leap": {"openSUSE", "SUSE"}, "opensuse-tumbleweed": {"openSUSE", "SUSE"},
}

// originsByVendor tells an rpm distribution's own packages by their VENDOR.
func originsByVendor(o OS, found []product) {
	own, known := rpmVendors[o.ID]
	if !known {
		return
	}
	for i, p := range found {
		if p.pkg.Vendor == "" {
			continue
		}
		found[i].from = evidence.FromProducer
		if slices.ContainsFunc(own, func(v string) bool { return strings.HasPrefix(p.pkg.Vendor, v) }) {
			found[i].from = evidence.FromDistribution
		}
	}
}

package software

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// formats are what the kind reads when it was captured elsewhere.
func formats() []host.Format {
	return []host.Format{
		{Name: "dpkg-status", Title: "/var/lib/dpkg/status", Parse: inventoryFormat(managerDpkg, ParseDpkgStatus)},
		{Name: "apk-installed", Title: "/lib/apk/db/installed", Parse: inventoryFormat(managerApk, ParseApkInstalled)},
		{Name: "rpm-qa", Title: "rpm -qa, or rpm -qa --queryformat '" + rpmFormat + "'", Parse: inventoryFormat(managerRPM, ParseRPM)},
		{Name: "apt-upgrade", Title: "apt-get -s -V dist-upgrade, or upgrade", Parse: explainUpgrade},
		{Name: "dnf-check-update", Title: "dnf -q -C check-update", Parse: explainCheckUpdate},
		{Name: "dnf-updateinfo", Title: "dnf -q -C updateinfo list --security --available", Parse: explainUpdateinfo},
		{Name: "apk-version", Title: "apk version -l '<'", Parse: explainApkVersion},
		{Name: "os-release", Title: "/etc/os-release", Parse: explainOS},
		{Name: "lsb-release", Title: "lsb_release -a", Parse: explainLSB},
		{Name: "dpkg-list", Title: "dpkg -l", Parse: inventoryFormat(managerDpkg, ParseDpkgList)},
		{Name: "dpkg-audit", Title: "dpkg --audit", Parse: explainAudit},
		{Name: "dpkg-verify", Title: "dpkg --verify", Parse: verifyFormat(managerDpkg)},
		{Name: "rpm-verify", Title: "rpm -Va", Parse: verifyFormat(managerRPM)},
		{Name: "rpm-qai", Title: "rpm -qai", Parse: inventoryFormat(managerRPM, ParseRPMInfo)},
		{Name: "apt-list", Title: "apt list --upgradable", Parse: explainAptList},
		{Name: "apt-policy", Title: "apt-cache policy, of archives or of packages", Parse: explainPolicy},
		{Name: "zypper-patches", Title: "zypper --xmlout list-patches --category security", Parse: explainZypper},
		{Name: "needrestart", Title: "needrestart -b", Parse: explainNeedrestart},
		{Name: "needs-restarting", Title: "needs-restarting -r, or without -r", Parse: explainNeedsRestarting},
		{Name: "kcarectl", Title: "kcarectl --uname, or --info", Parse: explainKcarectl},
		{Name: "livepatch-status", Title: "canonical-livepatch status --format json", Parse: explainLivepatch},
		{Name: "pro-status", Title: "pro status --format json", Parse: explainPro},
		{Name: "plesk-version", Title: "plesk version, or /usr/local/psa/version", Parse: productFormat("plesk", ParsePleskVersion)},
		{Name: "php-version", Title: "php -v", Parse: productFormat("php", ParsePHPVersion)},
		{Name: "endoflife", Title: "a product of endoflife.date's API v1", Parse: explainEndOfLife},
		{Name: "wordpress-version", Title: "wp-includes/version.php of a WordPress site", Parse: explainWordPress},
		{Name: "wordpress-plugin", Title: "the main file of a WordPress plugin", Parse: explainPlugin},
		{Name: "wordpress-theme", Title: "style.css of a WordPress theme", Parse: explainTheme},
	}
}

// captured is a look at one captured output: all else is not known.
func captured(at time.Time) *look {
	l := newLook(nil, at)
	l.unsure = []string{"not captured"}
	return l
}

func (l *look) told() host.Look {
	f, gaps := l.facts()
	return host.Look{Facts: f, Gaps: gaps}
}

func inventoryFormat(manager string, parse func(io.Reader) (Inventory, error)) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, at time.Time) (host.Look, error) {
		inv, err := parse(bytes.NewReader(data))
		if err != nil {
			return host.Look{}, err
		}
		l := captured(at)
		m, _ := l.manager(manager, inv, true, nil)
		l.managers = append(l.managers, m)
		l.addProducts(recognise(manager, inv.Packages))
		l.gap("pending updates of "+manager+" packages", "not captured with the list of packages")
		if len(inv.Packages) == 0 {
			l.gap("packages of "+manager, "the capture has none")
		}
		return l.told(), nil
	}
}

// updates makes a look of updates whose lists' age was not captured with them.
func updates(at time.Time, manager string, security bool, list []evidence.Update, gaps []evidence.Gap) host.Look {
	l := captured(at)
	l.managers = []evidence.Manager{{Name: manager, Security: security}}
	l.pending, l.gaps = list, gaps
	l.gap("lists of "+manager, "when they were last refreshed was not captured: that nothing else waits cannot be told")
	return l.told()
}

func explainUpgrade(data []byte, at time.Time) (host.Look, error) {
	up, err := ParseAptUpgrade(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	list, gaps := up.pending()
	security := false
	for _, u := range list {
		security = security || u.Security
	}
	return updates(at, managerDpkg, security, list, gaps), nil
}

func explainCheckUpdate(data []byte, at time.Time) (host.Look, error) {
	list, err := ParseCheckUpdate(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	return updates(at, managerRPM, false, joinDNF(list, nil, nil, nil), nil), nil
}

func explainUpdateinfo(data []byte, at time.Time) (host.Look, error) {
	all, err := ParseUpdateinfo(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	var security []Advisory
	for _, a := range all {
		if strings.EqualFold(a.Type, "security") {
			security = append(security, a)
		}
	}
	return updates(at, managerRPM, len(security) > 0, joinDNF(nil, security, nil, nil), nil), nil
}

func explainApkVersion(data []byte, at time.Time) (host.Look, error) {
	list, err := ParseApkVersion(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	return updates(at, managerApk, false, list, nil), nil
}

func explainOS(data []byte, at time.Time) (host.Look, error) {
	o, err := ParseOSRelease(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	l.os = l.osFacts(o)
	if gap, unknown := eolGap(o, l.os, l.cycles.Date); unknown {
		l.gaps = append(l.gaps, gap)
	}
	return l.told(), nil
}

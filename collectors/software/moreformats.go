package software

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

func explainLSB(data []byte, at time.Time) (host.Look, error) {
	o, err := ParseLSBRelease(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	l.os = l.osFacts(o)
	if gap, unknown := eolGap(o, l.os, l.cycles.Date); unknown {
		l.gaps = append(l.gaps, gap)
	}
	l.gap("the rest of the host", "not captured")
	return l.told(), nil
}

func explainAudit(data []byte, at time.Time) (host.Look, error) {
	broken, err := ParseDpkgAudit(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	m, _ := l.manager(managerDpkg, Inventory{Broken: broken}, true, nil)
	l.managers = append(l.managers, m)
	l.gap("installed packages", "not captured with the audit")
	return l.told(), nil
}

func verifyFormat(manager string) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, at time.Time) (host.Look, error) {
		list, err := ParseVerify(bytes.NewReader(data))
		if err != nil {
			return host.Look{}, err
		}
		files := harmful(list)
		n := len(files)
		l := captured(at)
		l.managers = append(l.managers, evidence.Manager{Name: manager, Altered: &n})
		l.gap("installed packages", "not captured with the check of their files")
		look := l.told()
		if n > 0 {
			const named = 100
			look.Detail = detail{Altered: []verifyDetail{{manager, files[:min(n, named)]}}}
		}
		return look, nil
	}
}

func explainAptList(data []byte, at time.Time) (host.Look, error) {
	list, err := ParseAptList(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	waiting, _ := AptUpgrade{Updates: list}.pending()
	return updates(at, managerDpkg, slices.ContainsFunc(waiting, func(u evidence.Update) bool { return u.Security }), waiting, nil), nil
}

func explainPolicy(data []byte, at time.Time) (host.Look, error) {
	p, err := ParseAptPolicy(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	if len(p.Archives)+len(p.Packages) == 0 {
		return host.Look{}, errors.New("apt's policy: neither an archive nor a package in it")
	}
	l := captured(at)
	m := evidence.Manager{Name: managerDpkg}
	for _, a := range p.Archives {
		m.Security = m.Security || securitySource(a.source())
	}
	for name, pkg := range p.Packages {
		if !word(pkg.Installed) || !word(pkg.Candidate) || pkg.Installed == "(none)" || pkg.Candidate == "(none)" || pkg.Installed == pkg.Candidate {
			continue
		}
		u := evidence.Update{Manager: managerDpkg, Name: name, Installed: pkg.Installed, Candidate: pkg.Candidate, Unsorted: true}
		for _, archive := range pkg.Archives[pkg.Candidate] {
			if _, suite, ok := strings.Cut(archive, " "); ok && strings.Contains(suite, "-security/") || strings.Contains(archive, "/updates/") {
				u.Security, u.Unsorted, m.Security = true, false, true
			}
		}
		l.pending = append(l.pending, u)
	}
	l.managers = append(l.managers, m)
	l.gap("lists of "+managerDpkg, "when they were last refreshed was not captured: that nothing else waits cannot be told")
	return l.told(), nil
}

func explainZypper(data []byte, at time.Time) (host.Look, error) {
	list, err := ParseZypperPatches(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	return updates(at, managerRPM, true, waiting(list), nil), nil
}

func explainNeedrestart(data []byte, at time.Time) (host.Look, error) {
	n, err := ParseNeedrestart(data)
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	l.kernelFacts = evidence.Kernel{Running: n.Running, Installed: n.Expected}
	l.needs(n)
	l.gap("programs of other users", "needrestart sees them as root only, and who ran it was not captured")
	switch n.Kernel {
	case 0:
		l.unknown("the running kernel", "needrestart cannot tell")
	case 1:
		l.unsure = nil
	}
	return l.told(), nil
}

func explainNeedsRestarting(data []byte, at time.Time) (host.Look, error) {
	text := string(data)
	l := captured(at)
	switch names, programs := ParseNeedsRestarting(text), needsRestartingPrograms(text); {
	case len(names) > 0:
		l.restart("needs-restarting", clip("updated since boot: "+strings.Join(names, ", ")), time.Time{})
	case programs > 0:
		l.restart("programs", "programs run replaced files", time.Time{})
	case strings.Contains(text, "Reboot should not be necessary") || strings.Contains(text, "No core libraries or services have been updated"):
		l.unsure = nil
	case strings.Contains(text, "Reboot is required") || strings.Contains(text, "Reboot is probably not necessary"):
		if strings.Contains(text, "Reboot is required") {
			l.restart("needs-restarting", "core packages were updated since boot", time.Time{})
		} else {
			l.unsure = nil
		}
	case strings.TrimSpace(text) != "":
		return host.Look{}, errors.New("not the output of needs-restarting in the C locale; its exit code tells in every language: 0 no reboot, 1 reboot")
	}
	l.gap("the rest of the host", "not captured")
	return l.told(), nil
}

func explainKcarectl(data []byte, at time.Time) (host.Look, error) {
	release, err := ParseKcarectl(data)
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	l.kernelFacts.Effective = release
	l.gap("the running kernel", "not captured with its live patches")
	return l.told(), nil
}

func explainLivepatch(data []byte, at time.Time) (host.Look, error) {
	p, err := ParseLivepatch(data)
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	l.kernelFacts = evidence.Kernel{Running: p.Kernel, Patched: p.Current}
	l.gap("live patches of the kernel", "the state is %q", p.State)
	return l.told(), nil
}

func explainPro(data []byte, at time.Time) (host.Look, error) {
	p, err := ParseProStatus(data, at)
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	l.os.ID, l.pro = "ubuntu", &p
	l.gap("the operating system", "its release was not captured with the subscription")
	return l.told(), nil
}

// productFormat makes a look of one product's version.
func productFormat(name string, parse func([]byte) (string, error)) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, at time.Time) (host.Look, error) {
		version, err := parse(data)
		if err != nil {
			return host.Look{}, err
		}
		l := captured(at)
		l.addProducts([]product{{name: name, pkg: Installed{Version: version}, from: evidence.FromProducer}})
		l.gap("the rest of the host", "not captured; a release that a distribution maintains lives as long as the distribution")
		return l.told(), nil
	}
}

func explainEndOfLife(data []byte, at time.Time) (host.Look, error) {
	product, releases, err := ParseEndOfLife(data)
	if err != nil {
		return host.Look{}, err
	}
	l := captured(at)
	for _, name := range slices.Sorted(maps.Keys(releases)) {
		l.products = append(l.products, evidence.Product{Name: product, Version: name, From: evidence.FromProducer, EOL: releases[name].day(), Open: releases[name].EOL == open})
	}
	l.gap("the host", "the file tells of releases, not of what is installed")
	return l.told(), nil
}

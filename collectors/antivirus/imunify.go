package antivirus

import (
	"context"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// imunifyProgram is the command of Imunify360 or ImunifyAV, "" if neither is installed.
func imunifyProgram(h *host.Host) string {
	for _, name := range []string{"imunify360-agent", "imunify-antivirus"} {
		if installed(h, name) {
			return name
		}
	}
	return ""
}

// imunifySignatures is where Imunify puts its signatures when it gets them.
const imunifySignatures = "/var/imunify360/files/sigs/v*/*"

// imunify looks at Imunify360 or ImunifyAV.
func (l *look) imunify(ctx context.Context) (evidence.AntivirusProduct, bool) {
	program := imunifyProgram(l.host)
	if program == "" {
		return evidence.AntivirusProduct{}, false
	}
	p := unknownProduct(imunifyName)
	p.Licence = evidence.Unknown
	const cure = "; its commands answer root: let root write the answer to a file and declare that in collectors.antivirus.others"
	out, why, _ := l.run(ctx, maxOutput, program, "rstatus", "--json")
	if why == "" {
		q, err := ParseImunifyStatus(out, l.now)
		if err == nil {
			p = q
		} else {
			why = err.Error()
		}
	}
	if why != "" {
		l.gap("licence of "+imunifyName, why+cure)
	}
	p.Definitions = l.imunifySignatures()
	if out, why, _ = l.run(ctx, maxOutput, program, "malware", "malicious", "list", "--json", "--limit", "10000"); why == "" {
		n, _, err := ParseImunifyMalware(out)
		if err == nil {
			p.Threats = &n
		} else {
			why = err.Error()
		}
	}
	if why != "" {
		l.gap("threats of "+imunifyName, why)
	}
	if out, why, _ = l.run(ctx, maxOutput, program, "malware", "on-demand", "list", "--json", "--limit", "1000"); why == "" {
		scan, err := ParseImunifyScans(out)
		if err == nil {
			p.Scan = scan
		} else {
			why = err.Error()
		}
	}
	if why != "" {
		l.gap("scans of "+imunifyName, why)
	}
	return p, true
}

// imunifySignatures tells when signatures came last: the newest file among them.
func (l *look) imunifySignatures() []evidence.Definitions {
	files, err := l.host.Glob(imunifySignatures)
	var newest time.Time
	for _, file := range files {
		if info, err := l.host.Stat(file); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if err != nil || newest.IsZero() {
		l.gap("definitions of "+imunifyName, imunifySignatures+" shows no file to this agent; setfacl -R -m u:attesto:rX /var/imunify360/files/sigs")
		return []evidence.Definitions{}
	}
	return []evidence.Definitions{{Name: "signatures", Got: moment(newest), Decides: true}}
}

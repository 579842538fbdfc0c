// Package collectors lists what can be seen on a host. Each kind has a folder;
// All is the one list of them.
package collectors

import (
	"github.com/attesto/attesto/collectors/accounts"
	"github.com/attesto/attesto/collectors/antivirus"
	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/dnsbl"
	"github.com/attesto/attesto/collectors/endpoints"
	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/collectors/health"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/hypervisor"
	"github.com/attesto/attesto/collectors/mail"
	"github.com/attesto/attesto/collectors/restore"
	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/collectors/storage"
	"github.com/attesto/attesto/evidence"
)

// All returns every collector of this build.
func All() []host.Spec {
	return []host.Spec{
		accounts.Spec(),
		dnsbl.Spec(),
		backup.Spec(),
		restore.Spec(),
		eventlog.Spec(),
		health.Spec(),
		storage.Spec(),
		hypervisor.Spec(),
		endpoints.Spec(),
		software.Spec(),
		antivirus.Spec(),
		mail.Spec(),
	}
}

// Find returns the spec of a kind.
func Find(kind evidence.Kind) (host.Spec, bool) {
	for _, s := range All() {
		if s.Kind == kind {
			return s, true
		}
	}
	return host.Spec{}, false
}

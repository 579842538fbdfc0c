package hypervisor

import (
	"cmp"
	"slices"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Guest is a guest with its own name, which facts hold only if the operator asks.
type Guest struct {
	evidence.HyperGuest
	Own string // its name; "" if the source does not tell
}

// Inventory is what a source says.
type Inventory struct {
	Hosts   []evidence.HyperHost
	Stores  []evidence.HyperStore
	Guests  []Guest
	HA      []evidence.HyperHA
	Backups bool // the stores of backups were asked
}

// Backup is a stored backup of a guest.
type Backup struct {
	Guest    string // "vm-100"
	Taken    time.Time
	Verified bool
	Damaged  bool
}

// add takes another source's inventory in.
func (i *Inventory) add(o Inventory) {
	i.Hosts, i.Stores = append(i.Hosts, o.Hosts...), append(i.Stores, o.Stores...)
	i.Guests, i.HA = append(i.Guests, o.Guests...), append(i.HA, o.HA...)
	i.Backups = i.Backups || o.Backups
}

// stored is what is known of each guest's backups, by the guest.
type stored map[string]*Guest

// take adds a store's backups.
func (s stored) take(list []Backup) {
	for _, b := range list {
		if s[b.Guest] == nil {
			if len(s) >= evidence.MaxHyperGuests {
				return
			}
			s[b.Guest] = &Guest{}
		}
		s[b.Guest].backup(b)
	}
}

// tell writes it into the guests.
func (s stored) tell(guests []Guest) {
	for i := range guests {
		if b := s[guests[i].Name]; b != nil {
			g := &guests[i].HyperGuest
			g.Backup, g.Backups, g.Damaged, g.Verified = b.Backup, b.Backups, b.Damaged, b.Verified
		}
	}
}

func (g *Guest) backup(b Backup) {
	t := at(b.Taken)
	if t == nil {
		return
	}
	g.Backups++
	if g.Backup == nil || g.Backup.Before(t.Time) {
		g.Backup, g.Damaged = t, b.Damaged
	}
	if b.Verified && (g.Verified == nil || g.Verified.Before(t.Time)) {
		g.Verified = t
	}
}

// facts bounds and sorts the inventory and puts names into place; more says what did not
// fit.
func (i Inventory) facts(name func(Guest) string) (f evidence.Hypervisor, more []evidence.Gap) {
	f = evidence.Hypervisor{Hosts: []evidence.HyperHost{}, Backups: i.Backups}
	f.Hosts = unique(i.Hosts, evidence.MaxHyperHosts, func(h evidence.HyperHost) string { return h.Name }, &more, "hosts")
	f.Stores = unique(i.Stores, evidence.MaxHyperStores, func(s evidence.HyperStore) string { return s.Name + "\x00" + s.Host }, &more, "stores")
	f.HA = unique(i.HA, evidence.MaxHyperGuests, func(h evidence.HyperHA) string { return h.Name }, &more, "services of HA")
	var guests []evidence.HyperGuest
	for _, g := range i.Guests {
		g.Name = name(g)
		guests = append(guests, g.HyperGuest)
	}
	f.Guests = unique(guests, evidence.MaxHyperGuests, func(g evidence.HyperGuest) string { return g.Name }, &more, "guests")
	return f, more
}

func unique[T any](list []T, limit int, key func(T) string, more *[]evidence.Gap, what string) []T {
	list = slices.Clone(list)
	host.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	list = slices.CompactFunc(list, func(a, b T) bool { return key(a) == key(b) })
	list = slices.DeleteFunc(list, func(v T) bool { return key(v) == "" || len(key(v)) > 200 })
	if len(list) > limit {
		*more = append(*more, evidence.Gap{What: what, Why: "more than fit: split the look over several agents"})
		list = list[:limit]
	}
	return list
}

// at is a time as facts hold it: none for one that is not known or cannot be.
func at(t time.Time) *evidence.Time {
	if y := t.UTC().Year(); y < 1970 || y > 9998 || t.Unix() == 0 {
		return nil
	}
	v := evidence.At(t)
	return &v
}

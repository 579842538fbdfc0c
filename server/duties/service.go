package duties

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// Service is what a customer can have of the provider: duties are grouped by it.
type Service struct {
	ID       string // two small letters; ids of its duties begin with them
	Title    Text
	Products []string // of Software: a host that has one probably runs the service
	Protos   []string // of Endpoints, likewise
}

type serviceFile struct {
	Title    Text     `yaml:"title"`
	Products []string `yaml:"products"`
	Protos   []string `yaml:"protos"`
}

func (c *Catalogue) addService(id string, f serviceFile) error {
	switch {
	case len(id) != 2 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz") != "":
		return fmt.Errorf("%q: want two small letters, such as dn; its duties are then DN-P1 and so on", id)
	case c.hasService(id):
		return errors.New("stated twice: give it other letters")
	}
	errs := []error{lacks("title", f.Title)}
	for i, p := range f.Protos {
		if !slices.Contains(evidence.Protos(), p) {
			errs = append(errs, under("", noSuch("protocol", p, evidence.Protos()), "protos", i))
		}
	}
	c.services = append(c.services, Service{id, f.Title, f.Products, f.Protos})
	return errors.Join(errs...)
}

func (c *Catalogue) hasService(id string) bool {
	return slices.ContainsFunc(c.services, func(s Service) bool { return s.ID == id })
}

// Services lists the services that are built in, in the order of the board.
func Services() []string { return services[:] }

// Services lists the services' ids in the order of the board.
func (c *Catalogue) Services() []string {
	ids := make([]string, len(c.services))
	for i, s := range c.services {
		ids[i] = s.ID
	}
	return ids
}

// ServiceTitle is a service's name in a language; the id of one that is not known.
func (c *Catalogue) ServiceTitle(lang, id string) string {
	for _, s := range c.services {
		if s.ID == id {
			return s.Title.In(lang)
		}
	}
	return id
}

// CheckServices refuses unknown and repeated services.
func (c *Catalogue) CheckServices(list []string) error {
	for i, s := range list {
		if !c.hasService(s) {
			return fmt.Errorf("service %q: want some of %s", s, strings.Join(c.Services(), ","))
		}
		if slices.Contains(list[:i], s) {
			return fmt.Errorf("service %q is named twice", s)
		}
	}
	return nil
}

// Suggest names the services that a host probably runs, by what it told of itself,
// and what tells so. Blobs that do not hold tell nothing.
func (c *Catalogue) Suggest(software, endpoints []byte) (ids, because []string) {
	soft, _, _ := evidence.DecodeFacts[evidence.Software](software)
	ends, _, _ := evidence.DecodeFacts[evidence.Endpoints](endpoints)
	for _, s := range c.services {
		var signs []string
		for _, p := range soft.Products {
			if slices.Contains(s.Products, p.Name) {
				signs = append(signs, p.Name)
			}
		}
		for _, e := range ends.Endpoints {
			if slices.Contains(s.Protos, e.Proto) {
				signs = append(signs, e.Proto)
			}
		}
		if len(signs) > 0 {
			ids, because = append(ids, s.ID), append(because, signs...)
		}
	}
	slices.Sort(because)
	return ids, slices.Compact(because)
}

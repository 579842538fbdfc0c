package software

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"time"
)

// endOfLife is a product of endoflife.date's API v1 (endoflife.date/docs/api/v1), as
// /api/v1/products/PRODUCT/ gives it, or a release of it, or a list of either.
type endOfLife struct {
	Generated string    `json:"generated_at"`
	Modified  string    `json:"last_modified"`
	Result    eolResult `json:"result"`
}

type eolResult struct {
	Name     string       `json:"name"`
	Releases []eolRelease `json:"releases"`
}

type eolRelease struct {
	Name     string  `json:"name"`
	IsEOAS   *bool   `json:"isEoas"`
	EOASFrom *string `json:"eoasFrom"` // end of active support
	IsEOL    *bool   `json:"isEol"`
	EOLFrom  *string `json:"eolFrom"`
	IsEOES   *bool   `json:"isEoes"`
	EOESFrom *string `json:"eoesFrom"` // end of extended support
}

var eolName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,60}$`)

// ParseEndOfLife reads a document of endoflife.date's API v1 for one product. A release
// that has ended without a day has ended by the document's own.
func ParseEndOfLife(b []byte) (product string, releases map[string]LifeCycle, err error) {
	var d endOfLife
	if err := json.Unmarshal(b, &d); err != nil {
		return "", nil, fmt.Errorf("ends of life: %w", err)
	}
	if !eolName.MatchString(d.Result.Name) || len(d.Result.Releases) == 0 || len(d.Result.Releases) > 2000 {
		return "", nil, errors.New("ends of life: no product with its releases: want the answer of endoflife.date/api/v1/products/PRODUCT/")
	}
	made := d.Generated
	if made == "" {
		made = d.Modified
	}
	at, err := time.Parse(time.RFC3339, made)
	if err != nil {
		return "", nil, fmt.Errorf("ends of life: generated_at %s is no time", show(made))
	}
	day := at.UTC().Format(time.DateOnly)
	releases = map[string]LifeCycle{}
	for _, r := range d.Result.Releases {
		if !word(r.Name) {
			return "", nil, fmt.Errorf("ends of life: release %s", show(r.Name))
		}
		c, err := r.cycle(day)
		if err != nil {
			return "", nil, fmt.Errorf("ends of life: release %s: %w", show(r.Name), err)
		}
		c.from = "endoflife.date " + day
		releases[r.Name] = c
	}
	return d.Result.Name, releases, nil
}

func (r eolRelease) cycle(day string) (LifeCycle, error) {
	c := LifeCycle{EOL: open}
	switch {
	case r.EOLFrom != nil:
		c.EOL = *r.EOLFrom
	case r.IsEOL == nil:
		return c, errors.New("says neither isEol nor eolFrom")
	case *r.IsEOL:
		c.EOL = day
	}
	if r.EOESFrom != nil {
		c.Extended = *r.EOESFrom
	}
	for _, d := range []string{c.EOL, c.Extended} {
		if _, err := time.Parse(time.DateOnly, d); err != nil && d != "" && d != open {
			return c, err
		}
	}
	return c, nil
}

// freeSupport are products whose longer support is free to all, and counts.
var freeSupport = map[string]bool{"debian": true}

// moreCycles lays an operator's documents over the days that are built in.
func (l *look) moreCycles(folder string) {
	if folder == "" {
		return
	}
	files, err := l.h.Glob(folder + "/*.json")
	if err == nil && len(files) == 0 {
		err = errors.New("no *.json in it")
	}
	if err != nil {
		l.gap("ends of life in "+clip(folder), "%v", err)
		return
	}
	l.cycles.Products = maps.Clone(l.cycles.Products)
	for _, file := range files {
		b, err := l.h.ReadFile(file, 8<<20)
		var product string
		var releases map[string]LifeCycle
		if err == nil {
			product, releases, err = ParseEndOfLife(b)
		}
		if err != nil {
			l.gap("ends of life in "+clip(path.Base(file)), "%v", plain(err))
			continue
		}
		merged := maps.Clone(l.cycles.Products[product])
		if merged == nil {
			merged = map[string]LifeCycle{}
		}
		for name, c := range releases {
			if freeSupport[product] && c.Extended != "" {
				c.Regular, c.EOL, c.Extended = c.EOL, c.Extended, ""
			}
			merged[name] = c
		}
		l.cycles.Products[product] = merged
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// releasesEvery is how often the operator's file of releases is looked at again.
const releasesEvery = 10 * time.Minute

// maxReleases bounds that file.
const maxReleases = 16 << 20

// renewReleases reads the operator's file of releases into the catalogue.
func (s *Server) renewReleases() error {
	info, err := os.Stat(s.cfg.Releases)
	if err == nil && info.Size() > maxReleases {
		err = fmt.Errorf("%d bytes, over the limit of %d", info.Size(), maxReleases)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(s.cfg.Releases)
	}
	if err == nil {
		err = s.catalogue.Renew(b)
	}
	if err != nil {
		return fmt.Errorf("reading releases %s: %w", s.cfg.Releases, err)
	}
	return nil
}

// watchReleases reads the file again whenever it has changed. One that is damaged
// leaves in force what was read last, and the log says so.
func (s *Server) watchReleases(ctx context.Context) error {
	tick := time.NewTicker(releasesEvery)
	defer tick.Stop()
	var read time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		info, err := os.Stat(s.cfg.Releases)
		if err == nil && info.ModTime().Equal(read) {
			continue
		}
		if err == nil {
			read = info.ModTime()
		}
		if err := errors.Join(err, s.renewReleases()); err != nil {
			s.log.Error("what sites run is judged by what was known before", "err", err)
		}
	}
}

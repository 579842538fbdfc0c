package agent

import (
	"fmt"
)

// takeOver goes on with a newer list of the server's keys, if the root key that this
// host has pinned signed it. It is durable before it counts.
func (p *pusher) takeOver(sealed string) error {
	if sealed == "" {
		return nil
	}
	id := p.id
	id.Keyset = sealed
	next, err := id.keyset()
	if err != nil {
		return err
	}
	switch {
	case next.Version == p.keyset.Version && sealed == p.id.Keyset:
		return nil
	case next.Version <= p.keyset.Version:
		return fmt.Errorf("it is version %d, version %d is known here", next.Version, p.keyset.Version)
	case next.Server != p.keyset.Server:
		return fmt.Errorf("it is of server %q, this host enrolled with %q", next.Server, p.keyset.Server)
	}
	log, err := next.Log(p.log.Origin)
	if err != nil {
		return err
	}
	if err := writeJSON(p.st.path(identityFile), id); err != nil {
		return fmt.Errorf("keeping it: %w", err)
	}
	p.slog.Warn("the server's log key changed, signed by the root key that this host has pinned", "version", next.Version, "since", next.Since)
	p.id, p.keyset, p.log = id, next, log
	return nil
}

package software

import (
	"errors"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// capturedSite makes a look of one site of which only a file was captured.
func capturedSite(at time.Time, s evidence.Site, missing string) host.Look {
	l := captured(at)
	s.ID, s.App, s.Files = "captured", evidence.SiteWordPress, evidence.FilesNotChecked
	l.web = &evidence.Web{Sites: []evidence.Site{s}}
	l.gap(webGap, "%s not captured", missing)
	return l.told()
}

func explainWordPress(data []byte, at time.Time) (host.Look, error) {
	core, err := ParseWordPressVersion(data)
	if err != nil {
		return host.Look{}, err
	}
	return capturedSite(at, evidence.Site{Version: core.Version, Locale: core.Locale, Unread: true}, "plugins and themes were"), nil
}

// noCore stands for the version of a site's core where only a part of it was captured.
const noCore = "unknown"

func explainPlugin(data []byte, at time.Time) (host.Look, error) {
	title, version, ok := ParsePluginHeader(data)
	if !ok {
		return host.Look{}, errors.New("no head of a WordPress plugin in the first 8 KiB: \"Plugin Name:\" is missing")
	}
	return capturedSite(at, evidence.Site{Version: noCore, Plugins: []evidence.SitePart{{Name: title, Version: version}}, Unread: true}, "the rest of the site was"), nil
}

func explainTheme(data []byte, at time.Time) (host.Look, error) {
	title, version, ok := ParseThemeHeader(data)
	if !ok {
		return host.Look{}, errors.New("no head of a WordPress theme in the first 8 KiB: \"Theme Name:\" is missing")
	}
	return capturedSite(at, evidence.Site{Version: noCore, Themes: []evidence.SitePart{{Name: title, Version: version}}, Unread: true}, "the rest of the site was"), nil
}

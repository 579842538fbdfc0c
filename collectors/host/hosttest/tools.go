package hosttest

import (
	"os"
	"os/exec"
	"testing"
)

// NeedTool skips a test for which one of the named programs is not installed; in CI that
// is a failure. It returns the path of the first. Daemons stand beside the search path.
func NeedTool(t testing.TB, names ...string) string {
	t.Helper()
	var paths []string
	for _, name := range names {
		path := ""
		for _, dir := range []string{"", "/usr/sbin/", "/usr/lib/systemd/", "/lib/systemd/"} {
			if found, err := exec.LookPath(dir + name); err == nil {
				path = found
				break
			}
		}
		switch {
		case path != "":
			paths = append(paths, path)
		case os.Getenv("CI") == "true":
			t.Fatalf("%s is not installed: make deps installs it", name)
		default:
			t.Skipf("%s is not installed: make deps installs it", name)
		}
	}
	return paths[0]
}

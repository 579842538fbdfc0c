package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder is where samples are restored to: the agent's alone, and one test's at a time.
type folder struct {
	path string
	lock *os.File
}

const samplePrefix = "sample-"

// openFolder makes the folder, takes its lock and deletes what a killed test left.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of restore tests: %w", plain(err))
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("the folder of restore tests: %w", plain(err))
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return nil, errors.New("the folder of restore tests is open to other accounts, or is no folder: chmod 0700 it, or name another one as restore: folder")
	}
	ownedAsState(path)
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the lock of restore tests: %w", plain(err))
	}
	ownedAsState(lock.Name())
	if err := tryLock(lock); err != nil {
		return nil, errors.Join(errBusy, lock.Close())
	}
	f := &folder{path: path, lock: lock}
	if err := f.sweep(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// close frees the lock by word: a program that is just being started holds the file too
// for a moment.
func (f *folder) close() {
	unlock(f.lock)
	_ = f.lock.Close() // nothing was written
}

// sweep deletes the samples of tests that did not get to it.
func (f *folder) sweep() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("reading the folder of restore tests: %w", plain(err))
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), samplePrefix) {
			if err := remove(filepath.Join(f.path, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// sample makes an empty folder for one test; done deletes it with all that is in it.
func (f *folder) sample() (dir string, done func() error, err error) {
	dir, err = os.MkdirTemp(f.path, samplePrefix) // 0700
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for the sample: %w", plain(err))
	}
	return dir, func() error { return remove(dir) }, nil
}

// remove deletes a sample, folders included that came back without the right to write.
func remove(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a folder that is deleted next
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("deleting a restored sample: %w; delete what is left in the folder of restore tests by hand", plain(err))
	}
	return nil
}

// plain takes paths out of an error: gaps are part of the facts.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

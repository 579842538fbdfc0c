//go:build !unix

package backup

import "io/fs"

// DefaultReports is the drop folder that the installer makes.
const DefaultReports = `C:\ProgramData\Attesto\report`

const openFlags = 0

func ownUID() string { return "" }

func ownerOf(fs.FileInfo) string { return "" }

// syncFolder does nothing: this system makes a rename durable itself.
func syncFolder(string) error { return nil }

// othersMayChange is not known here: the folder's access list decides.
func othersMayChange(fs.FileInfo) bool { return false }

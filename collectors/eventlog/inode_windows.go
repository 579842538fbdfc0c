package eventlog

import "io/fs"

// identity has no answer from a FileInfo here; first and last bytes tell files apart.
func identity(fs.FileInfo) (dev, inode uint64) { return 0, 0 }

package store

// What the tests of migrations need of the package.
var (
	Migrations = provider
	Embedded   = embedded
	Values     = values
)

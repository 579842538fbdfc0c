// Package packaging holds what is shipped beside the programs.
package packaging

import _ "embed" // verify.py

// VerifyPy is the second verifier of bundles, in the Python standard library and
// openssl(1). It stands in every bundle.
//
//go:embed verify.py
var VerifyPy []byte

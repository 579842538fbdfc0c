//go:build !linux

package keystore

import "errors"

var errNoTPM = errors.New("a key in a TPM can be used on Linux only")

func (s Store) createTPM(string) (Key, error)       { return nil, errNoTPM }
func (s Store) loadTPM(string, []byte) (Key, error) { return nil, errNoTPM }

// Package attesto is the root of the module. It holds no code: the programs are
// in cmd, and README draws the way from a fact on a host to a cell on the board.
package attesto

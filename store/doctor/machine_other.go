//go:build !unix

package doctor

import "errors"

// space and limits say nothing where there is no such interface.
func (p *patient) space()  {}
func (p *patient) limits() {}

func isTaken(err error) bool  { return err != nil }
func isDenied(err error) bool { return errors.Is(err, errors.ErrUnsupported) }

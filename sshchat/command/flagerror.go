package command

import (
	"errors"
	"fmt"
	"strconv"

	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// accepted is what flags of the types of Go's own take, as people write it.
var accepted = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint": "a whole number from 0 up", "uint64": "a whole number from 0 up",
	"float64": "a number, as 2 or 0.5", "duration": "a time, as 500ms, 30s, 5m or 2h", "bool": "true or false",
}

// FlagError words an error of pflag for people: without the functions of Go that have refused the value.
func FlagError(err error) string {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &value):
		return "--" + value.GetFlag().Name + ": " + FlagValueError(value)
	case errors.As(err, &unknown):
		if unknown.GetSpecifiedShortnames() != "" {
			return fmt.Sprintf("unknown flag -%s", text.Clean(unknown.GetSpecifiedName(), 40))
		}
		return fmt.Sprintf("unknown flag --%s", text.Clean(unknown.GetSpecifiedName(), 40))
	case errors.As(err, &missing):
		return fmt.Sprintf("--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &syntax):
		return fmt.Sprintf("%s is not a flag", text.Clean(syntax.GetSpecifiedFlag(), 40))
	}
	return err.Error()
}

// FlagValueError is FlagError for a value, without the name of its flag. Flags of types of this project refuse in words
// of their own.
func FlagValueError(err error) string {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err.Error()
	}
	said := text.Clean(value.GetValue(), 40)
	what, known := accepted[value.GetFlag().Value.Type()]
	switch {
	case !known:
		return value.Unwrap().Error()
	case said == "":
		return "it is empty, and must be " + what
	case errors.Is(err, strconv.ErrRange):
		return fmt.Sprintf("%s is too large", said)
	}
	return fmt.Sprintf("%q is not %s", said, what)
}

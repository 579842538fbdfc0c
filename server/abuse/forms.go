package abuse

import (
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
)

// form says what is wrong with a value, or nothing.
type form func(v any) string

func text(v any) string {
	if _, ok := v.(string); !ok {
		return "is no text"
	}
	return ""
}

func flag(v any) string {
	if _, ok := v.(bool); !ok {
		return "is neither true nor false"
	}
	return ""
}

func whole(least, most float64) form {
	return func(v any) string {
		if n, ok := v.(float64); !ok || n != float64(int64(n)) || n < least || n > most {
			return fmt.Sprintf("is no whole number from %.0f to %.0f", least, most)
		}
		return ""
	}
}

func oneOf(words ...string) form {
	return func(v any) string {
		if s, _ := v.(string); !slices.Contains(words, s) {
			return "is none of " + strings.Join(words, ", ")
		}
		return ""
	}
}

func mailbox(v any) string {
	s, _ := v.(string)
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return "is no mail address"
	}
	return ""
}

func date(v any) string {
	s, _ := v.(string)
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return "is no time"
	}
	return ""
}

func like(pattern string) form {
	re := regexp.MustCompile(pattern)
	return func(v any) string {
		if s, ok := v.(string); !ok || !re.MatchString(s) {
			return "has not its form"
		}
		return ""
	}
}

// each holds all values of a list to a form; one value may stand without a list.
func each(f form) form {
	return func(v any) string {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, v := range list {
			if bad := f(v); bad != "" {
				return bad
			}
		}
		return ""
	}
}

// list wants a list, of at most so many values of a form.
func list(f form, most int) form {
	return func(v any) string {
		if l, ok := v.([]any); !ok || len(l) > most {
			return fmt.Sprintf("is no list of at most %d", most)
		}
		return each(f)(v)
	}
}

// object holds fields to forms, and wants those that are named.
func object(fields map[string]form, want ...string) form {
	return func(v any) string {
		o, ok := v.(map[string]any)
		if !ok {
			return "is no object"
		}
		if err := holds(o, fields, want); err != nil {
			return err.Error()
		}
		return ""
	}
}

// values holds all fields of an object to a form.
func values(f form) form {
	return func(v any) string {
		o, ok := v.(map[string]any)
		if !ok {
			return "is no object"
		}
		for _, v := range o {
			if bad := f(v); bad != "" {
				return "holds a value that " + bad
			}
		}
		return ""
	}
}

func textOrNumber(v any) string {
	if whole(-1<<53, 1<<53)(v) != "" {
		return text(v)
	}
	return ""
}

func either(a, b form) form {
	return func(v any) string {
		if bad := a(v); bad != "" && b(v) != "" {
			return bad
		}
		return ""
	}
}

// holds checks an object; want names what must be there.
func holds(o map[string]any, fields map[string]form, want []string) error {
	for _, name := range want {
		if o[name] == nil || o[name] == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	for name, f := range fields {
		if v, there := o[name]; there {
			if bad := f(v); bad != "" {
				return fmt.Errorf("%s %s", name, bad)
			}
		}
	}
	return nil
}

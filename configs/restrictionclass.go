package configs

import (
	"fmt"
	"strings"
)

// RestrictionClass is a table [[restriction_class]]: a list of restrictions under a name, which may
// stand where a restriction stands (Postfix smtpd_restriction_classes).
type RestrictionClass struct {
	Name         string
	Restrictions []string
}

func (r *RestrictionClass) params() []Param {
	rows := []Param{
		String("restriction_class.name", &r.Name, "", "letters, digits, - and _", checkClassName,
			"The name, which must be given. It may stand in any list of restrictions, and as a result in an access table.").Also("smtpd_restriction_classes"),
		List("restriction_class.restrictions", &r.Restrictions, []string{}, restrictionsAllowed, checkRestriction,
			"What the name stands for. A list that comes to its end says nothing, and what stands behind the name is asked."),
	}
	for i := range rows {
		rows[i].table = true
	}
	return rows
}

func checkClassName(s string) error {
	if s == "" || len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return fmt.Errorf("%q is no name of a class", s)
	}
	return nil
}

// ClassLists are the lists of the classes by name.
func (c *Config) ClassLists() map[string][]string {
	lists := map[string][]string{}
	for _, r := range c.Classes {
		lists[r.Name] = r.Restrictions
	}
	return lists
}

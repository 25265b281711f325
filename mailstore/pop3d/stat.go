package pop3d

import "strconv"

// stat is STAT: number and size of the messages that are not deleted.
func (s *session) stat([]string) error {
	s.ok(strconv.Itoa(s.drop.kept) + " " + strconv.FormatInt(s.drop.keptSize, 10))
	return nil
}

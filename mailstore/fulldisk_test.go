package mailstore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/faultfs"
)

// TestAMailboxOnAFullDisk: after an unclean end on a full disk a mailbox can be
// opened, read and emptied, and mail that comes is refused. With the reserve,
// and when that is used up.
func TestAMailboxOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, reserve := range []int64{1 << 20, 0} {
		disk := faultfs.NewDisk()
		o := newStory(disk).options()
		o.Store.Reserve = reserve
		s, err := Open(t.Context(), o)
		check(t, err)
		for i := range 20 {
			check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message(fmt.Sprint(i)), Durable: true}))
		}
		u := openUser(t, s)
		check(t, u.Create(t.Context(), "Trash", ""))
		v := openView(t, u, "INBOX") // reserves UIDs
		_, _, err = v.Move(t.Context(), []uint32{20}, "Trash")
		check(t, err)
		killed := disk.Clone()
		check(t, v.Close())
		check(t, u.Close())
		check(t, s.Close())

		o.FS = killed
		killed.Limit(killed.Used())
		s, err = Open(t.Context(), o)
		check(t, err)
		used := killed.Used()
		killed.Limit(used)
		u = openUser(t, s)
		v = openView(t, u, "INBOX")
		if v.Len() != 19 {
			t.Fatalf("%d messages", v.Len())
		}
		for seq := uint32(1); seq <= 19; seq++ {
			readAllOf(t, v, seq)
			_, err := recordOf(t.Context(), v, seq)
			check(t, err)
		}
		killed.Limit(killed.Used())
		if err := s.Deliver(t.Context(), alice(), &Delivery{Content: message("no")}); !errors.Is(err, ErrFull) {
			t.Errorf("a delivery: %v", err)
		}
		if reserve > 0 {
			// Adding a message to an index takes room.
			_, _, err = v.Move(t.Context(), []uint32{1, 2}, "Trash")
			check(t, err)
			update(t, v, true)
		}
		for v.Len() > 0 {
			_, err = v.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{imap.FlagDeleted}, 0)
			check(t, err)
			check(t, v.Expunge(t.Context(), []uint32{1}))
			update(t, v, true)
		}
		if killed.Used() >= used {
			t.Errorf("%d octets are used, %d were", killed.Used(), used)
		}
		cut := killed.Crash()
		cut.Limit(0)
		o.FS = cut
		again, err := Open(t.Context(), o)
		check(t, err)
		want := "map[19:1]"
		if reserve > 0 {
			want = "map[0:1 1:1 19:1]"
		}
		if got := fmt.Sprint(subjectsOf(t, again, "INBOX", "Trash")); got != want {
			t.Errorf("after a power cut: %s", got)
		}
		check(t, again.Close())

		// There is room again: mail comes, and the reserve is there.
		killed.Limit(0)
		check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("yes")}))
		s.vol.FillReserve(false)
		if info, err := killed.Stat(s.vol.ReserveFile()); reserve > 0 && (err != nil || info.Size() != reserve) {
			t.Errorf("reserve: %v %v", info, err)
		}
		check(t, v.Close())
		check(t, u.Close())
		check(t, s.Close())
	}
}

// TestNewMailOfAnotherProgramOnAFullDisk waits for room; the mailbox is open.
func TestNewMailOfAnotherProgramOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	o := newStory(disk).options()
	o.Store.Reserve = 0
	s, err := Open(t.Context(), o)
	check(t, err)
	deliver(t, s, Delivery{Content: message("known")})
	f, err := disk.OpenFile(home("/mail", "new", "1.foreign"), 0x42, 0o600) // O_RDWR|O_CREATE
	check(t, err)
	_, err = f.Write([]byte("Subject: foreign\n\nx\n"))
	check(t, errors.Join(err, f.Close()))
	disk.Limit(disk.Used())
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	if v.Len() != 1 {
		t.Errorf("%d messages", v.Len())
	}
	disk.Limit(0)
	updateUntil(t, v, true, func(Update) bool { return v.Len() == 2 })
	if v.Len() != 2 {
		t.Errorf("%d messages with room", v.Len())
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// TestUsersLeaveRoom: what a user stores leaves store.min_free free, as LMTP does;
// what he moves, marks and deletes does not ask, nor does the queue.
func TestUsersLeaveRoom(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	o := newStory(disk).options()
	o.Store.MinFree = 1 << 20
	s, err := Open(t.Context(), o)
	check(t, err)
	for i := range 3 {
		check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message(fmt.Sprint(i)), Durable: true}))
	}
	u := openUser(t, s)
	check(t, u.Create(t.Context(), "Trash", ""))
	v := openView(t, u, "INBOX")
	_, _, err = v.Copy(t.Context(), []uint32{1}, "Trash")
	check(t, err)
	check(t, u.Close())
	check(t, v.Close())
	check(t, s.Close())

	disk.Limit(disk.Used() + 1<<19)
	s, err = Open(t.Context(), o) // it measures anew
	check(t, err)
	defer func() { check(t, s.Close()) }()
	u = openUser(t, s)
	defer func() { check(t, u.Close()) }()
	v = openView(t, u, "INBOX")
	defer func() { check(t, v.Close()) }()
	if _, _, err := u.Append(t.Context(), "INBOX", nil, o.Clock.Now(), message("no")); !errors.Is(err, ErrLittleRoom) {
		t.Errorf("append: %v", err)
	}
	_, _, err = v.Copy(t.Context(), []uint32{2}, "Trash") // how old clients delete
	check(t, err)
	if err := u.Room(1); !errors.Is(err, ErrLittleRoom) {
		t.Errorf("room: %v", err)
	}
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("accepted before"), Durable: true}))
	_, _, err = v.Move(t.Context(), []uint32{2}, "Trash")
	check(t, err)
}

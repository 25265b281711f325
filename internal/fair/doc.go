// Package fair gives turns to what waits, so that no tenant and no site holds the
// others up, however much it has waiting and however slow it is.
//
// # What it does
//
// An entry (a message, a delivery) belongs to a tenant (whose mail it is) and to a site
// (where it goes). What one tenant has for one site is a lane, first in, first out.
// [Turns.Next] takes tenants in turn, and of a tenant its lanes in turn; so a tenant
// with ten entries waits for one entry of each other tenant, and not for a hundred
// thousand of one.
//
// What was taken is out ([Lane.Take]) until it is done ([Lane.Done]). Its owner
// says when a tenant, a site or a lane has enough out ([Options]): it is passed over until
// it has room again. Those that wait for a site come up in the order in which they
// began to.
//
// [Share] is the usual answer to what enough is: so much of what is still free. One
// that takes all it gets leaves something free for who comes next; many of them have
// equal parts.
//
// # What it does not do
//
// It has no lock, no bound and no clock: all are its owner's. It keeps nothing of a
// tenant or a site that has nothing waiting and nothing out.
//
// # Cost
//
// A turn, and the end of one, cost the same however many lanes wait: a lane whose site
// is full waits at the site and is not looked at again before that has room, and a tenant
// that is full is looked at once for each end of a turn. Tenants that are full at one time are
// as many as their parts fit into the whole.
//
// The idea is deficit round robin over two levels (Shreedhar and Varghese) with the
// dynamic thresholds of shared buffers (Choudhury and Hahne).
package fair

package repo

import "errors"

// What a store answers when it did not do what was asked. Any other error is
// a fault of the store or of the way to it; nothing in it is a client's fault.
var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("repo: not found")
	// ErrConflict says that a record with that key or unique name is there already; nothing was changed.
	ErrConflict = errors.New("repo: conflict")
	// ErrStale says that a compare-and-swap found another value than the caller had seen; nothing was changed.
	ErrStale = errors.New("repo: stale")
	// ErrText says that a text holds NUL or is not UTF-8, which PostgreSQL can't keep and so no store does; nothing was
	// changed. Callers drop or refuse such texts themselves. Whoever looks for one finds nothing, as if there were none.
	ErrText = errors.New("repo: text that can't be stored")
	// ErrUnavailable says that the store could not be reached or did not answer in time.
	// Whether a write was done is not known; every write of this package may be repeated safely
	// or answers ErrConflict or ErrStale the second time.
	ErrUnavailable = errors.New("repo: unavailable")
)

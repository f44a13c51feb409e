package upstream

import "sync"

// maxRemembered bounds what a Memory takes.
const maxRemembered = 10_000

// Memory is what an adapter remembers of documents, and can do without: when it is full it starts anew, and forgetting costs
// a lookup and nothing else. The zero value is empty. It is safe for concurrent use.
type Memory[K comparable, V any] struct {
	mu sync.Mutex
	of map[K]V
}

// Get is what was remembered last of a key.
func (m *Memory[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.of[key]
	return v, ok
}

// Any tells whether something that is remembered fits.
func (m *Memory[K, V]) Any(fits func(V) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.of {
		if fits(v) {
			return true
		}
	}
	return false
}

// Put remembers.
func (m *Memory[K, V]) Put(key K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil || len(m.of) >= maxRemembered {
		m.of = map[K]V{}
	}
	m.of[key] = v
}

// Drop forgets.
func (m *Memory[K, V]) Drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, key)
}

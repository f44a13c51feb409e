// Package irp holds what all that carry the IRNs of India's Invoice Registration Portal have in common, whatever protocol
// they speak: its errors and those of the gateways before it ([Errors]), sorted by what they mean ([Class]), and the rules of
// a cancellation ([Rules]).
package irp

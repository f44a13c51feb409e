// Package observe is what can be seen of a bridge from outside: one line per call in the log ([CallLog]), alarms at an
// operator's address ([Webhook]), traces at a collector ([Traces]), each of them a [bridge.Observer]. [Observers] tells all
// of them; the metrics are the console's.
//
// Nothing here holds up an answer or the end of the process. What nobody takes, log lines ([LogQueue]), alarms or spans, is
// lost after a while, counted and said.
package observe

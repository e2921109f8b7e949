"""A running model -> a `Run` of exact counts.

The files, in the order a tensor meets them:

inputs      models, batches and answers as a caller has them
steps       how many there are; models that are called once for each
run         the batches of a run, its result; `warnings`: what to know before trusting it
passes      one forward pass from a fresh state; one sample alone as the check
neurons     which modules are spiking neurons, and which of their outputs are the spikes
scopes      which module is running
watch       the dispatch mode that sees every operation; the only file that instruments a model
operations  what each operation does to elements: one table, one row each
rules       the weight operations in one: its products
products    what a product comes to: synops, dense MACs, non-zeros
values      what an operand holds, proven by how it was made or looked at
origins     where tensors come from
labels      which sample and step every element belongs to
sites       which executions are one site, and which stand for all steps
totals      sums over what ran; `tallies`: those of one site or neuron layer
sampling, distributed    stopping once enough is known; several processes
"""

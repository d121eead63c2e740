mod batch; mod broker; mod commands; mod judge; mod rng; mod topic; mod wire;

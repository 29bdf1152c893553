//! The launchers that start the processes of one load, and tell each of them which shard it is.

use serde::{Deserialize, Serialize};

/// The launcher that has told a process which shard it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launcher {
    /// `mpirun` of Open MPI.
    OpenMpi,
    /// A launcher with the process management interface of MPICH: `mpirun` of MPICH and of Intel MPI.
    Pmi,
    /// `srun` of Slurm.
    SlurmTask,
    /// A job array of Slurm.
    SlurmArray,
    /// A job array of AWS Batch.
    AwsBatch,
    /// An Indexed Job of Kubernetes. It does not tell the number of shards.
    Kubernetes,
    /// GNU parallel. It does not tell the number of shards.
    Parallel,
}

impl Launcher {
    /// All launchers. A launcher that can run inside another one comes first, because the innermost one started this process:
    /// `mpirun` runs inside a job of Slurm, `srun` inside a task of a job array, and both inside a pod.
    pub const ALL: [Self; 7] = [
        Self::OpenMpi,
        Self::Pmi,
        Self::SlurmTask,
        Self::SlurmArray,
        Self::AwsBatch,
        Self::Kubernetes,
        Self::Parallel,
    ];

    /// Returns the environment variable that tells a process its number.
    pub const fn index_variable(self) -> &'static str {
        match self {
            Self::OpenMpi => "OMPI_COMM_WORLD_RANK",
            Self::Pmi => "PMI_RANK",
            Self::SlurmTask => "SLURM_PROCID",
            Self::SlurmArray => "SLURM_ARRAY_TASK_ID",
            Self::AwsBatch => "AWS_BATCH_JOB_ARRAY_INDEX",
            Self::Kubernetes => "JOB_COMPLETION_INDEX",
            Self::Parallel => "PARALLEL_SEQ",
        }
    }
}

# Completes c2c-authctl in bash. Written from the tool's own table by src/ctl/spec/tests.rs.

_c2c_authctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
    COMPREPLY=()
    case $prev in
    --bus)
        mapfile -t COMPREPLY < <(compgen -W 'system session' -- "$cur")
        return
        ;;
    --min-validity)
        :
        return
        ;;
    --png)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --svg)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --size)
        :
        return
        ;;
    --textfile)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --with-key)
        mapfile -t COMPREPLY < <(compgen -W 'auto host tpm2 host+tpm2' -- "$cur")
        return
        ;;
    --files)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --client-id)
        :
        return
        ;;
    --upgrade-key)
        mapfile -t COMPREPLY < <(compgen -W 'host tpm2 host+tpm2' -- "$cur")
        return
        ;;
    --wait)
        :
        return
        ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --bus) i=$((i + 1)) ;;
        -*) ;;
        *)
            verb=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    case $verb in
    '')
        mapfile -t COMPREPLY < <(compgen -W 'status pair complete cancel unpair token reject qr watch check report metrics provision factory-reset help --bus --version --help' -- "$cur")
        ;;
    status)
        mapfile -t COMPREPLY < <(compgen -W '--json --bus --version --help' -- "$cur")
        ;;
    pair)
        mapfile -t COMPREPLY < <(compgen -W '--replace --bus --version --help' -- "$cur")
        ;;
    complete)
        mapfile -t COMPREPLY < <(compgen -W '--bus --version --help' -- "$cur")
        ;;
    cancel)
        mapfile -t COMPREPLY < <(compgen -W '--bus --version --help' -- "$cur")
        ;;
    unpair)
        mapfile -t COMPREPLY < <(compgen -W '--yes --bus --version --help' -- "$cur")
        ;;
    token)
        mapfile -t COMPREPLY < <(compgen -W '--min-validity --json --bus --version --help' -- "$cur")
        ;;
    reject)
        mapfile -t COMPREPLY < <(compgen -W '--bus --version --help' -- "$cur")
        ;;
    qr)
        mapfile -t COMPREPLY < <(compgen -W '--png --svg --size --static --bus --version --help' -- "$cur")
        ;;
    watch)
        mapfile -t COMPREPLY < <(compgen -W '--json --bus --version --help' -- "$cur")
        ;;
    check)
        mapfile -t COMPREPLY < <(compgen -W '--json --offline --paired --accepted --bus --version --help' -- "$cur")
        ;;
    report)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur"; compgen -W '--bus --version --help' -- "$cur")
        ;;
    metrics)
        mapfile -t COMPREPLY < <(compgen -W '--textfile --bus --version --help' -- "$cur")
        ;;
    provision)
        mapfile -t COMPREPLY < <(compgen -W '--with-key --files --client-id --replace --upgrade-key --no-restart --verify --json --bus --version --help' -- "$cur")
        ;;
    factory-reset)
        mapfile -t COMPREPLY < <(compgen -W '--clock --provisioning --forget-revocations --wait --yes --json --bus --version --help' -- "$cur")
        ;;
    help)
        mapfile -t COMPREPLY < <(compgen -W '--bus --version --help' -- "$cur")
        ;;
    esac
}
complete -F _c2c_authctl c2c-authctl
